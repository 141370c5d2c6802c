import type { NamedAggregate } from '../../topology/node.ts'
import type { Cell } from '../simulation/jsonl-encoder.ts'
import { cellOfAvro, typeOfField } from './cell.ts'
import { doubleOf, nearestDouble, numeratorOf } from './rational.ts'

/** The rows of a pane are kept as they are; the result is computed at the end from all of them. */
export function aggregateOf(
  aggregate: NamedAggregate,
  schema: unknown,
  rows: readonly Readonly<Record<string, unknown>>[],
): Cell {
  const { spec } = aggregate
  if (spec.kind === 'count' && spec.field === null) return String(rows.length)
  const field = spec.field!
  const values = rows.map((row) => row[field]).filter((value) => value !== null && value !== undefined)
  if (spec.kind === 'count') return String(values.length)
  if (values.length === 0) return null
  const type = typeOfField(schema, field)
  if (spec.kind === 'min' || spec.kind === 'max') {
    const sorted = [...values].sort(compare)
    return cellOfAvro(type, spec.kind === 'min' ? sorted[0] : sorted.at(-1))
  }
  if (type.type === 'double' || type.type === 'float') {
    return cellOfAvro('double', sumOfDoubles(values as number[], spec.kind === 'avg'))
  }
  const whole = values.map((value) =>
    type.logicalType === 'decimal' ? (value as Scaled).unscaled : BigInt(value as number),
  )
  const total = whole.reduce((a, b) => a + b, 0n)
  if (spec.kind === 'sum')
    return type.logicalType === 'decimal' ? `${total}e-${type.scale ?? 0}` : String(total)
  const scale = type.logicalType === 'decimal' ? (type.scale ?? 0) : 0
  return cellOfAvro('double', nearestDouble(total, BigInt(values.length) * 10n ** BigInt(scale)))
}

interface Scaled {
  readonly unscaled: bigint
}

function sumOfDoubles(values: readonly number[], average: boolean): number {
  if (values.some(Number.isNaN)) return Number.NaN
  const infinite = new Set(values.filter((value) => !Number.isFinite(value)))
  if (infinite.size > 0) return infinite.size > 1 ? Number.NaN : [...infinite][0]!
  const total = values.reduce((sum, value) => sum + numeratorOf(value), 0n)
  const sum = doubleOf(total)
  return average ? sum / values.length : sum
}

/** NaN above everything, -0 below 0, strings and bytes by their bytes, decimals by their unscaled value. */
export function compare(a: unknown, b: unknown): number {
  if (typeof a === 'string') return compareBytes(utf8.encode(a), utf8.encode(b as string))
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array)
  if (typeof a === 'object') return compare((a as Scaled).unscaled, (b as Scaled).unscaled)
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0))
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!
  }
  return a.length - b.length
}

const utf8 = new TextEncoder()
