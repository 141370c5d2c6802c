import { assert } from '../errors.ts'
import type { Column } from './column.ts'
import type { ColumnType, Field } from './column-type.ts'
import {
  isPlainObject,
  isRecord,
  kindOf,
  lookup,
  propertyReader,
  recordMisfit,
  shown,
  unknownField,
} from './object-shape.ts'
import { scalarAppender } from './append-scalar.ts'
import type { CellAppender } from './append-scalar.ts'

/**
 * Appends one row, an object such as a callback of the user returned, to the columns of its fields (`columns` may have more
 * behind them, which are left alone). Returns null, or why the object is not such a row: nothing is appended then, nor when a
 * getter of the object throws.
 */
export type RowAppender = (row: unknown, columns: readonly Column[]) => string | null

/**
 * Prepares the appender. It takes the values of `valueAt` (docs/types.md), and for a long or a timestamp also a whole number. A
 * nullable field may be left out; any other must be there; a field that the schema does not have is refused by name. Nothing is
 * rounded or cut: a value out of range is a message.
 */
export function compileAppender(fields: readonly Field[]): RowAppender {
  const appendFields = recordAppender(fields, '')
  return (row, columns) => {
    const length = columns[0]!.length
    let why: string | null = 'it threw'
    try {
      why = appendFields(row, columns)
    } finally {
      if (why !== null) for (let i = 0; i < fields.length; i++) columns[i]!.truncate(length)
    }
    return why
  }
}

type FieldsAppender = (value: unknown, columns: readonly Column[]) => string | null

function recordAppender(fields: readonly Field[], path: string): FieldsAppender {
  const names = fields.map((field) => field.name)
  const readers = names.map(propertyReader)
  const appenders = fields.map((field) =>
    fieldAppender(field, path === '' ? field.name : `${path}.${field.name}`),
  )
  return (value, columns) => {
    if (!isRecord(value)) return recordMisfit(value, path)
    let present = 0
    for (let i = 0; i < appenders.length; i++) {
      const property = readers[i]!(value)
      if (property !== undefined) present++
      const why = appenders[i]!(columns[i]!, property)
      // A field that is not in the schema is often the misspelt name of one that is missing.
      if (why !== null) return unknownField(value, names, path) ?? why
    }
    // As many properties as fields that were found: there is no other, and no need to look each of them up.
    const isWhole = isPlainObject(value) && Object.keys(value).length === present
    return isWhole ? null : unknownField(value, names, path)
  }
}

function fieldAppender(field: Field, path: string): CellAppender {
  const append = presentAppender(field.type, path)
  if (!field.nullable) {
    return (column, value) => {
      if (value !== null && value !== undefined) return append(column, value)
      return value === null ? `field ${path} is null, and it may not be` : `field ${path} is missing`
    }
  }
  return (column, value) => {
    if (value === null || value === undefined) {
      appendNull(column)
      return null
    }
    const row = column.length
    const why = append(column, value)
    if (why === null) column.validity![row >> 3]! |= 1 << (row & 7)
    return why
  }
}

function presentAppender(type: ColumnType, path: string): CellAppender {
  if (type.kind === 'list') return listAppender(fieldAppender(type.element, `${path}[]`), path)
  if (type.kind === 'map') return mapAppender(fieldAppender(type.value, `${path}{}`), path)
  if (type.kind !== 'struct') return scalarAppender(type, path)
  return type.union === true ? unionAppender(type.fields, path) : structAppender(type.fields, path)
}

function structAppender(fields: readonly Field[], path: string): CellAppender {
  const appendFields = recordAppender(fields, path)
  return (column, value) => {
    assert(column.storage === 'struct', `${path} is not a struct column`)
    column.reserve(column.length + 1)
    const why = appendFields(value, column.children)
    if (why === null) column.length++
    return why
  }
}

/** `{ branch: value }` */
function unionAppender(fields: readonly Field[], path: string): CellAppender {
  const names = fields.map((field) => field.name)
  const appenders = fields.map((field) =>
    fieldAppender({ ...field, nullable: false }, `${path}.${field.name}`),
  )
  return (column, value) => {
    assert(column.storage === 'struct', `${path} is not a struct column`)
    const keys = isPlainObject(value) ? Object.keys(value) : []
    const branch = keys.length === 1 ? names.indexOf(keys[0]!) : -1
    if (branch < 0) return `field ${path} is ${shown(value)}, not an object with one of ${names.join(', ')}`
    column.reserve(column.length + 1)
    const row = column.length
    for (const [index, child] of column.children.entries()) {
      if (index !== branch) {
        appendNull(child)
        continue
      }
      const why = appenders[index]!(child, lookup(value, keys[0]!))
      if (why !== null) return why
      child.validity![row >> 3]! |= 1 << (row & 7)
    }
    column.length++
    return null
  }
}

function listAppender(append: CellAppender, path: string): CellAppender {
  return (column, value) => {
    assert(column.storage === 'list', `${path} is not a list column`)
    if (!Array.isArray(value)) return `field ${path} is ${kindOf(value)}, not an array`
    for (const item of value as readonly unknown[]) {
      const why = append(column.element, item)
      if (why !== null) return why
    }
    column.reserve(column.length + 1)
    column.offsets[++column.length] = column.element.length
    return null
  }
}

function mapAppender(append: CellAppender, path: string): CellAppender {
  const appendKey = scalarAppender({ kind: 'string' }, `${path}{}`)
  return (column, value) => {
    assert(column.storage === 'map', `${path} is not a map column`)
    if (!isPlainObject(value))
      return `field ${path} is ${kindOf(value)}, not a plain object with a map's entries`
    for (const key of Object.keys(value)) {
      const why = appendKey(column.keys, key) ?? append(column.values, lookup(value, key))
      if (why !== null) return why
    }
    column.reserve(column.length + 1)
    column.offsets[++column.length] = column.keys.length
    return null
  }
}

/** Appends a null, also to a child that is not nullable itself, of a record that is null. */
export function appendNull(column: Column): void {
  const row = column.length
  column.reserve(row + 1)
  if (column.validity !== null) column.validity[row >> 3]! &= ~(1 << (row & 7))
  if (column.storage === 'struct') for (const child of column.children) appendNull(child)
  if (column.storage === 'binary' || column.storage === 'list' || column.storage === 'map') {
    column.offsets[row + 1] = column.offsets[row]!
  }
  column.length++
}
