import type { AggregateNode, ComputedKeySpec, KeySpec } from '../../topology/node.ts'
import { cellOfAvro, typeOfField, valueAt } from './cell.ts'
import { fitsAvro } from './fits-avro.ts'

export type Row = Readonly<Record<string, unknown>>

/** A row on its way to a window, or the result of one on its way to the next. */
export interface Item {
  readonly row: Row
  readonly timeMs: number
  /** The watermark that it found. */
  readonly floorMs: number
  /** '' for results. */
  readonly task: string
  readonly offset: number
}

/** The order of rows: (event time, task, offset). */
export function compareItems(a: Item, b: Item): number {
  if (a.timeMs !== b.timeMs) return a.timeMs - b.timeMs
  if (a.task !== b.task) return a.task < b.task ? -1 : 1
  return a.offset - b.offset
}

/** The values of an item's keys, and a text that only these have. */
export interface Key {
  readonly values: readonly unknown[]
  readonly text: string
}

/** Null where a value does not fit its type. A throw of a computed key goes on to the caller. */
export function keyOf(schema: unknown, specs: readonly KeySpec[], row: Row): Key | null {
  const values = specs.map((spec) => (typeof spec === 'string' ? valueAt(row, spec) : computed(spec, row)))
  if (values.includes(MISFIT)) return null
  const cells = specs.map((spec, i) => cellOfAvro(keyType(schema, spec), values[i]))
  return { values, text: JSON.stringify(cells) }
}

const MISFIT = Symbol('a value that is not of the type of its key')

function computed({ of, type }: ComputedKeySpec, row: Row): unknown {
  const value: unknown = of(row as never)
  return fitsAvro(type, value) ? (value ?? null) : MISFIT
}

export function keyType(schema: unknown, spec: KeySpec): unknown {
  return typeof spec === 'string' ? typeOfField(schema, spec) : spec.type
}

/** The columns of the keys. */
export function keyNames({ keyBy }: Pick<AggregateNode, 'keyBy'>): readonly string[] {
  return keyBy.map((spec) => (typeof spec === 'string' ? spec.replaceAll('.', '_') : spec.name))
}
