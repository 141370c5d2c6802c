import type { AggregateNode, DedupeNode, PipelineSpec, RowNode, Rule } from '../../topology/node.ts'
import { hexOf, type Cell } from '../simulation/jsonl-encoder.ts'
import type { RawRecord } from '../simulation/sim-source.ts'
import { aggregateOf, compare } from './aggregate.ts'
import { avroFields, cellOfAvro, typeOfField } from './cell.ts'
import { fitsAvro } from './fits-avro.ts'

/**
 * What a pipeline must write, computed one row at a time in the plainest way, from decision 0001 and from nothing else.
 * It shares no code with the engine.
 */
export type Row = Readonly<Record<string, unknown>>

export interface OracleRecord extends RawRecord {
  /** What the record is, as somebody else decoded it. */
  readonly decoded:
    | { readonly kind: 'row'; readonly row: Row }
    | { readonly kind: 'refused'; readonly reason: 'undecodable' | 'unknown-schema' | 'incompatible-schema' }
  /** Of the frame; null where there is none. */
  readonly schemaId: number | null
}

export interface OraclePartition {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OracleRecord[]
}

export type Cells = Readonly<Record<string, Cell>>

export interface OracleLetter {
  readonly reason: string
  readonly stage: string
  /** The columns that say which record it was. */
  readonly record: Cells
  readonly value: Cell
}

export interface OracleResult {
  /** By path. Silver rows are without `_processed_at`, gold rows without `revision`. */
  readonly tables: ReadonlyMap<string, readonly Cells[]>
  readonly deadLetters: readonly OracleLetter[]
  readonly records: number
  readonly late: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
}

/** A row on its way through the steps. */
interface Passing {
  readonly row: Row
  readonly timeMs: number
  /** Before this row. */
  readonly watermarkMs: number
}

interface Pane {
  readonly startMs: number
  readonly key: readonly unknown[]
  readonly rows: Row[]
}

export function computeOracle(spec: PipelineSpec, partitions: readonly OraclePartition[]): OracleResult {
  const tables = new Map<string, Cells[]>(spec.tables.map((table) => [`${table.layer}/${table.name}`, []]))
  const panes = new Map<AggregateNode, Map<string, Pane>>()
  const deadLetters: OracleLetter[] = []
  const late: Record<string, number> = {}
  const dropped: Record<string, number> = {}
  let records = 0

  for (const partition of partitions) {
    let watermarkMs = -Infinity
    const kept = new Map<DedupeNode, Map<string, number>>()
    for (const record of partition.records) {
      records++
      const origin = originOf(partition, record)
      const refuse = (reason: string, stage: string): null => {
        const value = record.value === null ? null : hexOf(record.value)
        deadLetters.push({ reason, stage, record: origin, value })
        return null
      }
      const { decoded } = record
      if (decoded.kind === 'refused') {
        refuse(decoded.reason, 'decode')
        continue
      }
      for (const table of spec.tables) {
        if (table.layer === 'bronze') {
          tables
            .get(`bronze/${table.name}`)!
            .push({ ...cellsOf(spec.source.schema.avro, decoded.row), ...origin })
        }
      }
      const timeMs = eventTimeOf(spec, decoded.row)
      if (spec.source.eventTime !== null && timeMs === null) {
        refuse('invalid', 'event-time')
        continue
      }
      if (timeMs !== null && timeMs > record.arrivalMs + spec.source.watermark!.futureLimitMs) {
        refuse('future', 'event-time')
        continue
      }
      const before = watermarkMs
      if (timeMs !== null) watermarkMs = Math.max(watermarkMs, timeMs - spec.source.watermark!.boundMs)
      const first: Passing = { row: decoded.row, timeMs: timeMs ?? Number.NaN, watermarkMs: before }
      const done = new Map<RowNode | AggregateNode, Passing | null>()

      /** The row as the node lets it pass, or null. Each node sees a row once. */
      const through = (node: RowNode | AggregateNode): Passing | null => {
        if (!done.has(node)) done.set(node, step(node))
        return done.get(node)!
      }
      const drop = (name: string): null => {
        dropped[name] = (dropped[name] ?? 0) + 1
        return null
      }
      const step = (node: RowNode | AggregateNode): Passing | null => {
        if (node.kind === 'source') return first
        if (node.kind === 'late') {
          through(node.input)
          const passing = through(node.input.input)
          return passing !== null && isLate(node.input, passing) ? passing : null
        }
        const passing = through(node.input)
        if (passing === null) return null
        switch (node.kind) {
          case 'expect':
            try {
              for (const { field, rule } of node.rules) {
                if (!passes(rule, passing.row[field])) return refuse('invalid', node.name)
              }
            } catch {
              return refuse('processing', node.name)
            }
            return passing
          case 'filter':
            try {
              return node.predicate(passing.row as never) ? passing : drop(node.name)
            } catch {
              return refuse('processing', node.name)
            }
          case 'map': {
            let result: unknown
            try {
              result = node.transform(passing.row as never)
            } catch {
              return refuse('processing', node.name)
            }
            if (result === null) return drop(node.name)
            if (!fitsAvro(node.schema.avro, result)) return refuse('invalid', node.name)
            return { ...passing, row: result as Row }
          }
          case 'dedupe': {
            if (!kept.has(node)) kept.set(node, new Map())
            const newest = kept.get(node)!
            const key = keyText(schemaOf(node.input), node.by, passing.row)
            const seen = newest.get(key)
            if (
              seen !== undefined &&
              Math.abs(passing.timeMs - seen) < node.withinMs &&
              passing.watermarkMs < seen + node.withinMs
            ) {
              return drop(node.name)
            }
            newest.set(key, Math.max(seen ?? -Infinity, passing.timeMs))
            return passing
          }
          case 'aggregate': {
            if (isLate(node, passing)) {
              late[node.name] = (late[node.name] ?? 0) + 1
              if (node.late === 'dead-letter') refuse('late', node.name)
              return null
            }
            if (!panes.has(node)) panes.set(node, new Map())
            const startMs = windowStart(node, passing.timeMs)
            const key = `${startMs} ${keyText(schemaOf(node.input), node.keyBy, passing.row)}`
            const pane = panes.get(node)!.get(key)
            if (pane !== undefined) pane.rows.push(passing.row)
            else {
              panes.get(node)!.set(key, {
                startMs,
                key: node.keyBy.map((field) => passing.row[field]),
                rows: [passing.row],
              })
            }
            return passing
          }
        }
      }
      for (const table of spec.tables) {
        if (table.layer === 'bronze') continue
        const passing = through(table.input)
        if (passing !== null && table.layer === 'silver') {
          tables.get(`silver/${table.name}`)!.push(cellsOf(schemaOf(table.input as RowNode), passing.row))
        }
      }
    }
  }

  for (const table of spec.tables) {
    if (table.input.kind !== 'aggregate') continue
    const node = table.input
    const schema = schemaOf(node.input)
    for (const pane of panes.get(node)?.values() ?? []) {
      const row: Record<string, Cell> = {}
      node.keyBy.forEach((field, i) => (row[field] = cellOfField(schema, field, pane.key[i])))
      row['window_start'] = String(BigInt(pane.startMs) * 1000n)
      row['window_end'] = String(BigInt(pane.startMs + node.window.sizeMs) * 1000n)
      for (const aggregate of node.aggregates) row[aggregate.name] = aggregateOf(aggregate, schema, pane.rows)
      tables.get(`gold/${table.name}`)!.push(row)
    }
  }
  return { tables, deadLetters, records, late, dropped }
}

/** The Avro schema of the rows that a node lets pass. */
export function schemaOf(node: RowNode): unknown {
  if (node.kind === 'source' || node.kind === 'map') return node.schema.avro
  if (node.kind === 'late') return schemaOf(node.input.input)
  return schemaOf(node.input)
}

function originOf(partition: OraclePartition, record: OracleRecord): Cells {
  return {
    _topic: partition.topic,
    _partition: String(partition.partition),
    _offset: String(record.offset),
    _timestamp: String(BigInt(record.timestampMs) * 1000n),
    _key: record.key === null ? null : hexOf(record.key),
    _schema_id: record.schemaId === null ? null : String(record.schemaId),
    _headers:
      record.headers === null
        ? null
        : record.headers.map(({ key, value }) => ({ key, value: value === null ? null : hexOf(value) })),
    _ingested_at: String(BigInt(record.arrivalMs) * 1000n),
  }
}

function eventTimeOf(spec: PipelineSpec, row: Row): number | null {
  if (spec.source.eventTime === null) return null
  const value = row[spec.source.eventTime]
  if (value === null || value === undefined) return null
  // Micros are bigints; they are floored.
  if (typeof value === 'number') return value
  const micros = value as bigint
  const rest = ((micros % 1000n) + 1000n) % 1000n
  return Number((micros - rest) / 1000n)
}

function windowStart(node: AggregateNode, timeMs: number): number {
  const { sizeMs, offsetMs } = node.window
  const rest = (((timeMs - offsetMs) % sizeMs) + sizeMs) % sizeMs
  return timeMs - rest
}

function isLate(node: AggregateNode, passing: Passing): boolean {
  const endMs = windowStart(node, passing.timeMs) + node.window.sizeMs
  return passing.watermarkMs >= endMs + node.allowedLatenessMs
}

function passes(rule: Rule, value: unknown): boolean {
  if (value === null || value === undefined) return rule.kind !== 'not-null'
  switch (rule.kind) {
    case 'between':
      return !Number.isNaN(value) && order(value, rule.min) >= 0 && order(value, rule.max) <= 0
    case 'at-least':
      return !Number.isNaN(value) && order(value, rule.min) >= 0
    case 'at-most':
      return !Number.isNaN(value) && order(value, rule.max) <= 0
    case 'one-of':
      return rule.values.some((one) => (one as unknown) == value)
    case 'not-null':
      return true
    case 'matches':
      return new RegExp(rule.pattern, rule.flags).test(value as string)
    case 'length-between': {
      const length = typeof value === 'string' ? [...value].length : (value as ArrayLike<unknown>).length
      return length >= rule.min && length <= rule.max
    }
    case 'satisfies':
      return rule.test(value)
  }
}

/** Of a value to a bound. Bounds of decimals are whole numbers in the workloads. */
function order(value: unknown, bound: number | bigint): number {
  if (typeof value === 'object') {
    const { unscaled, scale } = value as { unscaled: bigint; scale: number }
    return compare(unscaled, BigInt(bound) * 10n ** BigInt(scale))
  }
  return compare(value, bound)
}

function cellsOf(schema: unknown, row: Row): Cells {
  return Object.fromEntries(avroFields(schema).map(({ name, type }) => [name, cellOfAvro(type, row[name])]))
}

function cellOfField(schema: unknown, field: string, value: unknown): Cell {
  return value === null || value === undefined ? null : cellOfAvro(typeOfField(schema, field), value)
}

function keyText(schema: unknown, fields: readonly string[], row: Row): string {
  return JSON.stringify(fields.map((field) => cellOfField(schema, field, row[field])))
}
