import { assert, unreachable } from '../errors.ts'
import { bytesAt, decimalAt, fixedAt, longAt, longOf, millisAt, stringAt } from './cell.ts'
import type { Column } from './column.ts'
import { isValid } from './column.ts'
import type { Field } from './column-type.ts'
import { setOwn } from './set-own.ts'
import { decodeUtf8 } from './utf8.ts'

/**
 * The TypeScript value of a row of any column, as docs/types.md lists them: null, boolean, number (also dates in
 * days, times and timestamps of millis), bigint (long and micros), string, Uint8Array (a copy), Decimal, arrays, plain objects
 * for records, objects without prototype for maps, and { branch: value } for unions of several types.
 */
export function valueAt(column: Column, row: number): unknown {
  if (!isValid(column, row)) return null
  const { type } = column.field
  switch (column.storage) {
    case 'int32':
      return type.kind === 'enum' ? type.symbols[column.values[row]!] : column.values[row]
    case 'int64':
      return type.kind === 'timestamp' && type.unit === 'millis' ? millisAt(column, row) : longAt(column, row)
    case 'float32':
    case 'float64':
      return column.values[row]
    case 'boolean':
      return ((column.bits[row >> 3]! >> (row & 7)) & 1) === 1
    case 'binary':
      return type.kind === 'string' ? stringAt(column, row) : bytesAt(column, row)
    case 'fixed':
      return type.kind === 'decimal' ? decimalAt(column, row) : fixedAt(column, row)
    case 'list': {
      const items: unknown[] = []
      for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++)
        items.push(valueAt(column.element, i))
      return items
    }
    case 'map': {
      const entries = Object.create(null) as Record<string, unknown>
      // Of a key that is repeated the last value counts, as Parquet has it.
      for (let i = column.offsets[row]!; i < column.offsets[row + 1]!; i++) {
        entries[stringAt(column.keys, i)] = valueAt(column.values, i)
      }
      return entries
    }
    case 'struct':
      assert(type.kind === 'struct', 'a struct column has a struct type')
      return type.union === true ? branchAt(column.children, row) : recordAt(column.children, row)
    default:
      return unreachable(column)
  }
}

function recordAt(children: readonly Column[], row: number): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const child of children) setOwn(record, child.field.name, valueAt(child, row))
  return record
}

function branchAt(children: readonly Column[], row: number): Record<string, unknown> {
  const branch = children.find((child) => isValid(child, row))
  assert(branch !== undefined, 'one branch of a union is present')
  return setOwn({}, branch.field.name, valueAt(branch, row))
}

/** Rows of columns as one reusable object. */
export interface RowReader {
  /** Reads from these columns from now on. Again after they have grown: their arrays are replaced then. */
  bind(columns: readonly Column[]): void
  /**
   * The object. Its properties, and those of the records in it, read the row that `at` chose last, so it must not be
   * kept: `{ ...row }` copies all but the records in it, `structuredClone(row)` everything.
   */
  readonly row: object
  /** Chooses a row and returns `row`. */
  at(index: number): object
}

/**
 * Generates a row object for the fields: a property reads its column only when it is asked for, so that a field which a callback
 * does not look at costs nothing. Values are those of `valueAt`; the records in a row are objects of the same sort.
 */
export function compileRow(fields: readonly Field[]): RowReader {
  const code = new RowCode()
  const row = code.object(fields, (index) => `columns[${index}]`)
  const text = `"use strict"
let i = 0
${code.variables.map((name) => `let ${name} = null`).join('\n')}
${code.records.join('\n')}
const row = ${row}
return {
row,
bind(columns) {
${code.binds.join('\n')}
},
at(index) {
i = index
return row
} }`
  const environment: Record<string, unknown> = {
    decodeUtf8,
    longOf,
    valueAt,
    withGetters,
    symbols: code.symbols,
  }
  return new Function(...Object.keys(environment), text)(...Object.values(environment)) as RowReader
}

/** One by one: V8 makes a dictionary of a literal with getters, and then `{ ...row }` takes ten times as long. */
function withGetters(getters: readonly (readonly [string, () => unknown])[]): object {
  const object = {}
  for (const [name, get] of getters) {
    Object.defineProperty(object, name, { get, enumerable: true, configurable: true })
  }
  return object
}

class RowCode {
  readonly variables: string[] = []
  readonly binds: string[] = []
  /** The records inside the row: made once, for their getters read the variables. */
  readonly records: string[] = []
  readonly symbols: (readonly string[])[] = []

  /** An object with a getter for each field. Names are JSON text in the code: they come from schemas. */
  object(fields: readonly Field[], access: (index: number) => string): string {
    const getters = fields.map(
      (field, index) => `[${JSON.stringify(field.name)}, () => ${this.#field(field, access(index))}]`,
    )
    return `withGetters([\n${getters.join(',\n')}\n])`
  }

  #field(field: Field, access: string): string {
    const column = this.#variable(access)
    const value = this.#value(field, column)
    if (!field.nullable) return value
    const validity = this.#variable(`${column}.validity`)
    return `(${validity}[i >> 3] >> (i & 7)) & 1 ? ${value} : null`
  }

  #value({ type }: Field, column: string): string {
    const part = (name: string) => this.#variable(`${column}.${name}`)
    switch (type.kind) {
      case 'int32':
      case 'date':
      case 'float32':
      case 'float64':
        return `${part('values')}[i]`
      case 'enum':
        return `symbols[${this.symbols.push(type.symbols) - 1}][${part('values')}[i]]`
      case 'int64':
        return this.#long(part('words'))
      case 'time':
        return type.unit === 'millis' ? `${part('values')}[i]` : this.#long(part('words'))
      case 'timestamp': {
        const words = part('words')
        if (type.unit === 'micros') return this.#long(words)
        return `${words}[2 * i + 1] * 4294967296 + (${words}[2 * i] >>> 0)`
      }
      case 'boolean':
        return `((${part('bits')}[i >> 3] >> (i & 7)) & 1) === 1`
      case 'string': {
        const offsets = part('offsets')
        return `decodeUtf8(${part('data')}, ${offsets}[i], ${offsets}[i + 1])`
      }
      case 'struct': {
        if (type.union === true) return `valueAt(${column}, i)`
        const name = `R${this.variables.length}`
        const object = this.object(type.fields, (index) => `${column}.children[${index}]`)
        this.variables.push(name)
        this.records.push(`${name} = ${object}`)
        return name
      }
      case 'bytes':
      case 'fixed':
      case 'decimal':
      case 'list':
      case 'map':
        return `valueAt(${column}, i)`
      default:
        return unreachable(type)
    }
  }

  #long(words: string): string {
    return `longOf(${words}[2 * i], ${words}[2 * i + 1])`
  }

  #variable(access: string): string {
    const name = `c${this.variables.length}`
    this.variables.push(name)
    this.binds.push(`${name} = ${access}`)
    return name
  }
}
