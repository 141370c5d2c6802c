import { PipelineError } from '../../src/errors.ts'
import type { DeltaField, DeltaType } from './schema-json.ts'
import { typeText } from './schema-json.ts'
import type { TableSchema } from './table-schema.ts'

/**
 * The fields a table has after rows of `wanted` have been added to one of `current`: `current` itself where nothing
 * changes. New columns must be nullable, because older files do not have them; a column may become nullable. Columns
 * are found by name; metadata that others have written stays. Anything else is refused: TABLE_SCHEMA_MISMATCH.
 */
export function evolvedFields(
  path: string,
  current: TableSchema,
  wanted: TableSchema,
): readonly DeltaField[] {
  const [have, want] = [current.partitionColumns, wanted.partitionColumns]
  if (have.length !== want.length || have.some((name, index) => name !== want[index])) {
    throw mismatch(path, `it is partitioned by ${listText(have)}, the program wants ${listText(want)}`)
  }
  return evolvedStruct({ path, column: '' }, current.fields, wanted.fields)
}

/** Where in a schema: 'pickup.lat' of 'silver/trips'. */
interface Place {
  readonly path: string
  readonly column: string
}

function evolvedStruct(
  place: Place,
  current: readonly DeltaField[],
  wanted: readonly DeltaField[],
): readonly DeltaField[] {
  const wantedByName = new Map(wanted.map((field) => [field.name, field]))
  const evolved = current.map((field) => {
    const target = wantedByName.get(field.name)
    if (target !== undefined) return evolvedField(inside(place, field.name), field, target)
    throw mismatch(
      place.path,
      `it has the column ${inside(place, field.name).column}, which the program no longer has`,
    )
  })
  const names = new Set(current.map((field) => field.name))
  const added = wanted.filter((field) => !names.has(field.name))
  for (const field of added) {
    if (field.nullable) continue
    const { column } = inside(place, field.name)
    throw mismatch(
      place.path,
      `it does not have the column ${column} (${typeText(field.type)}), and a new column must be nullable`,
    )
  }
  const changed = added.length > 0 || evolved.some((field, index) => field !== current[index])
  return changed ? [...evolved, ...added] : current
}

function evolvedField(place: Place, current: DeltaField, wanted: DeltaField): DeltaField {
  const type = evolvedType(place, current.type, wanted.type)
  const nullable = current.nullable || wanted.nullable
  return type === current.type && nullable === current.nullable ? current : { ...current, type, nullable }
}

function evolvedType(place: Place, current: DeltaType, wanted: DeltaType): DeltaType {
  if (typeof current === 'string' || typeof wanted === 'string') {
    if (current === wanted) return current
  } else if (current.type === 'struct' && wanted.type === 'struct') {
    const fields = evolvedStruct(place, current.fields, wanted.fields)
    return fields === current.fields ? current : { ...current, fields }
  } else if (current.type === 'array' && wanted.type === 'array') {
    const elementType = evolvedType(inside(place, 'element'), current.elementType, wanted.elementType)
    const containsNull = current.containsNull || wanted.containsNull
    const same = elementType === current.elementType && containsNull === current.containsNull
    return same ? current : { ...current, elementType, containsNull }
  } else if (current.type === 'map' && wanted.type === 'map' && current.keyType === wanted.keyType) {
    const valueType = evolvedType(inside(place, 'value'), current.valueType, wanted.valueType)
    const valueContainsNull = current.valueContainsNull || wanted.valueContainsNull
    const same = valueType === current.valueType && valueContainsNull === current.valueContainsNull
    return same ? current : { ...current, valueType, valueContainsNull }
  }
  throw mismatch(
    place.path,
    `its column ${place.column} is ${typeText(current)}, in the program it is ${typeText(wanted)}`,
  )
}

function inside(place: Place, name: string): Place {
  return { path: place.path, column: place.column === '' ? name : `${place.column}.${name}` }
}

function listText(names: readonly string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ')
}

function mismatch(path: string, why: string): PipelineError {
  return new PipelineError(
    'TABLE_SCHEMA_MISMATCH',
    `Table ${path} has another schema than the program: ${why}.`,
    {
      advice:
        'A table takes new nullable columns, and columns that become nullable. For any other change write to a table of another name, or start again with --fresh.',
    },
  )
}
