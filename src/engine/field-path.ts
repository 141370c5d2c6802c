import type { Column } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import { assert, PipelineError } from '../errors.ts'

/** A field found by its path, and the way to its column. */
export interface FieldPath {
  readonly path: string
  readonly field: Field
  readonly indices: readonly number[]
}

/** Finds 'fare' or 'pickup.lat'. Throws FIELD_UNKNOWN with the names there are. */
export function resolveFieldPath(fields: readonly Field[], path: string, step: string): FieldPath {
  const indices: number[] = []
  let level = fields
  let found: Field | null = null
  for (const name of path.split('.')) {
    if (found !== null) {
      if (found.type.kind !== 'struct' || found.nullable) {
        throw new PipelineError(
          'FIELD_UNKNOWN',
          `${step}: ${path} goes through ${found.name}, which is not a record`,
          {
            advice: found.nullable
              ? 'A record that may be null has to be taken apart in a map step first.'
              : 'Name a field of a record.',
          },
        )
      }
      level = found.type.fields
    }
    const index = level.findIndex((field) => field.name === name)
    if (index < 0) {
      throw new PipelineError('FIELD_UNKNOWN', `${step}: there is no field ${path}`, {
        advice: `The fields are: ${level.map((field) => field.name).join(', ')}.`,
      })
    }
    indices.push(index)
    found = level[index]!
  }
  assert(found !== null, 'a path has at least one name')
  return { path, field: found, indices }
}

/** The column of a path. Look it up again after a `reserve`: nothing here is kept. */
export function columnAt(columns: readonly Column[], path: FieldPath): Column {
  let column = columns[path.indices[0]!]!
  for (let i = 1; i < path.indices.length; i++) {
    assert(column.storage === 'struct', `${path.path} goes through a record`)
    column = column.children[path.indices[i]!]!
  }
  return column
}
