import type { AvroType, RecordField, RecordType } from '../avro/schema-model.ts'
import type { AvroBuffer } from './avro-buffer.ts'
import { MisfitError, misfit, within } from './misfit.ts'
import type { ValueWriter } from './value-writer.ts'

interface FieldWriter {
  readonly name: string
  readonly write: ValueWriter
  /** A field that is left out is null: the schema says so. */
  readonly isOptional: boolean
}

/** `learn` is given the writer before those of the fields are made: a record may contain itself. */
export function recordWriter(
  type: RecordType,
  writerOf: (type: AvroType) => ValueWriter,
  learn: (writer: ValueWriter) => void,
): ValueWriter {
  const fields: FieldWriter[] = []
  const names = new Set(type.fields.map(({ name }) => name))
  const write = (value: unknown, out: AvroBuffer): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return misfit('must be an object', value)
    }
    const object = value as Readonly<Record<string, unknown>>
    let present = 0
    for (const field of fields) {
      const fieldValue = object[field.name]
      if (fieldValue !== undefined) present++
      try {
        field.write(fieldValue === undefined && field.isOptional ? null : fieldValue, out)
      } catch (error) {
        throw within(field.name, error)
      }
    }
    const keys = Object.keys(object)
    if (keys.length > present) refuseUnknown(object, keys, names)
  }
  learn(write)
  for (const field of type.fields) {
    fields.push({ name: field.name, write: writerOf(field.type), isOptional: isOptional(field) })
  }
  return write
}

function isOptional({ type, default: value }: RecordField): boolean {
  return value === null && type.kind === 'union' && type.branches.some(({ kind }) => kind === 'null')
}

/** A misspelt name would be a value that is lost without a word. */
function refuseUnknown(
  object: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  names: ReadonlySet<string>,
): void {
  for (const key of keys) {
    if (names.has(key) || object[key] === undefined) continue
    throw within(key, new MisfitError(`is not in the schema, which has ${[...names].join(', ')}`))
  }
}
