import { unreachable } from '../../errors.ts'
import type { AggregateSpec } from '../../topology/node.ts'
import { type AvroType, cellOfAvro, typeOfField, valueAt } from './cell.ts'
import { compare, type Scaled } from './compare.ts'
import { compareItems, type Item } from './item.ts'
import { doubleOf, nearestDouble, nearestRoot, numeratorOf, varianceOf } from './rational.ts'
import { counted, distinctCount, sketchQuantile } from './sketch.ts'

/** The Avro type of an aggregate's column. */
export function aggregateType(spec: AggregateSpec, schema: unknown): unknown {
  const input = spec.field === null ? null : typeOfField(schema, spec.field)
  switch (spec.kind) {
    case 'count':
    case 'count-if':
    case 'count-distinct':
      return 'long'
    case 'sum':
      if (input!.logicalType === 'decimal') return ['null', { ...input!, type: 'bytes', precision: 38 }]
      return ['null', isFloat(input!) ? 'double' : 'long']
    case 'avg':
    case 'variance':
    case 'stddev':
    case 'quantile':
      return ['null', 'double']
    case 'quantiles':
      return ['null', { type: 'array', items: 'double' }]
    case 'top-k':
    case 'most-frequent':
    case 'collect':
      return ['null', { type: 'array', items: input }]
    case 'custom':
      return spec.type
    case 'min':
    case 'max':
    case 'first':
    case 'last':
    case 'min-by':
    case 'max-by':
      return ['null', input]
    default:
      return unreachable(spec)
  }
}

/** The rows of a pane are kept as they are; the result is computed at the end from all of them. */
export function aggregateOf(spec: AggregateSpec, schema: unknown, items: readonly Item[]): unknown {
  if (spec.kind === 'count-if') return BigInt(items.filter(({ row }) => spec.predicate(row as never)).length)
  if (spec.kind === 'custom') {
    const state = items
      .map(({ row }) => spec.add(spec.init() as never, row as never))
      .reduce((left, right) => spec.merge(left as never, right as never), spec.init())
    return spec.result(state as never)
  }
  if (spec.kind === 'count' && spec.field === null) return BigInt(items.length)
  const field = spec.field!
  const type = typeOfField(schema, field)
  const pairs = items
    .map((item) => ({
      item,
      value: valueAt(item.row, field),
      by: 'by' in spec ? valueAt(item.row, spec.by) : 0,
    }))
    .filter(({ value, by }) => value !== null && by !== null)
  return ofValues(spec, type, pairs)
}

interface Pair {
  readonly item: Item
  readonly value: unknown
  readonly by: unknown
}

type FieldSpec = Exclude<AggregateSpec, { kind: 'count-if' | 'custom' }>

function ofValues(spec: FieldSpec, type: AvroType, pairs: readonly Pair[]): unknown {
  const values = pairs.map(({ value }) => value)
  const texts = values.map((value) => JSON.stringify(cellOfAvro(type, counted(value))))
  if (spec.kind === 'count') return BigInt(values.length)
  if (spec.kind === 'count-distinct') return distinctCount(texts, spec.exactMax)
  if (values.length === 0) return null
  const inOrder = [...pairs].sort(byPlace)
  switch (spec.kind) {
    case 'sum':
      return sumOf(type, values)
    case 'avg':
      return averageOf(type, values)
    case 'variance':
    case 'stddev':
      return spreadOf(spec, type, values)
    case 'min':
      return [...values].sort(compare)[0]
    case 'max':
      return [...values].sort(compare).at(-1)
    case 'first':
      return inOrder[0]!.value
    case 'last':
      return inOrder.at(-1)!.value
    case 'min-by':
      return inOrder.reduce((best, one) => (compare(one.by, best.by) < 0 ? one : best)).value
    case 'max-by':
      return inOrder.reduce((best, one) => (compare(one.by, best.by) > 0 ? one : best)).value
    case 'quantile':
      return sketchQuantile(doublesOf(type, values), spec.q, spec.accuracy)
    case 'quantiles':
      return spec.qs.map((q) => sketchQuantile(doublesOf(type, values), q, spec.accuracy))
    case 'top-k':
      return [...inOrder]
        .sort((a, b) => compare(b.by, a.by))
        .slice(0, spec.k)
        .map(({ value }) => value)
    case 'most-frequent':
      return mostFrequent(values, texts, spec.k)
    case 'collect':
      return inOrder.slice(0, spec.max).map(({ value }) => value)
    default:
      return unreachable(spec)
  }
}

/** By event time, task and offset; of results, which have neither task nor offset, by the value. */
function byPlace(a: Pair, b: Pair): number {
  return compareItems(a.item, b.item) || compare(a.value, b.value)
}

function isFloat({ type }: AvroType): boolean {
  return type === 'double' || type === 'float'
}

function sumOf(type: AvroType, values: readonly unknown[]): unknown {
  if (isFloat(type)) return sumOfDoubles(values as readonly number[])
  const total = wholeOf(type, values).reduce((a, b) => a + b, 0n)
  return type.logicalType === 'decimal' ? { unscaled: total, scale: type.scale ?? 0 } : total
}

function averageOf(type: AvroType, values: readonly unknown[]): number {
  if (isFloat(type)) return sumOfDoubles(values as readonly number[]) / values.length
  const total = wholeOf(type, values).reduce((a, b) => a + b, 0n)
  return nearestDouble(total, BigInt(values.length) * scaleOf(type))
}

function scaleOf(type: AvroType): bigint {
  return type.logicalType === 'decimal' ? 10n ** BigInt(type.scale ?? 0) : 1n
}

function wholeOf(type: AvroType, values: readonly unknown[]): readonly bigint[] {
  return values.map((value) =>
    type.logicalType === 'decimal' ? (value as Scaled).unscaled : BigInt(value as number),
  )
}

function spreadOf(
  { kind, of }: Extract<AggregateSpec, { kind: 'variance' | 'stddev' }>,
  type: AvroType,
  values: readonly unknown[],
): number | null {
  const isSample = of === 'sample'
  if (isSample && values.length === 1) return null
  if (isFloat(type) && !values.every(Number.isFinite)) return Number.NaN
  const variance = isFloat(type)
    ? varianceOf((values as readonly number[]).map(numeratorOf), 1n << 1074n, isSample)
    : varianceOf(wholeOf(type, values), scaleOf(type), isSample)
  if (variance === null) return null
  return kind === 'stddev' ? nearestRoot(variance) : nearestDouble(variance.numerator, variance.denominator)
}

function doublesOf(type: AvroType, values: readonly unknown[]): readonly number[] {
  if (isFloat(type)) return values as readonly number[]
  return wholeOf(type, values).map((whole) => nearestDouble(whole, scaleOf(type)))
}

function sumOfDoubles(values: readonly number[]): number {
  if (values.some(Number.isNaN)) return Number.NaN
  const infinite = new Set(values.filter((value) => !Number.isFinite(value)))
  if (infinite.size > 0) return infinite.size > 1 ? Number.NaN : [...infinite][0]!
  return doubleOf(values.reduce((sum, value) => sum + numeratorOf(value), 0n))
}

function mostFrequent(values: readonly unknown[], texts: readonly string[], k: number): readonly unknown[] {
  const counts = new Map<string, { readonly value: unknown; times: number }>()
  texts.forEach((text, i) => {
    const entry = counts.get(text) ?? { value: counted(values[i]), times: 0 }
    entry.times++
    counts.set(text, entry)
  })
  return [...counts.values()]
    .sort((a, b) => b.times - a.times || compare(a.value, b.value))
    .slice(0, k)
    .map(({ value }) => value)
}
