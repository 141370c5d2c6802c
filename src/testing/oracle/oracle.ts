import { unreachable } from '../../errors.ts'
import type {
  AggregateNode,
  CircuitBreakerSpec,
  DedupeNode,
  MapNode,
  PipelineSpec,
  RowNode,
  Rule,
} from '../../topology/node.ts'
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
  /** Rows of the output topics, as those of gold tables. */
  readonly topics: ReadonlyMap<string, readonly Cells[]>
  readonly deadLetters: readonly OracleLetter[]
  readonly records: number
  readonly late: Readonly<Record<string, number>>
  readonly dropped: Readonly<Record<string, number>>
  /** Of partitions whose circuit breaker opens: how many of its records are read by then. By `topic-partition`. */
  readonly opened: ReadonlyMap<string, number>
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
  const books = new Books(spec)
  for (const partition of partitions) {
    const dedupe = new Map<DedupeNode, Map<string, number>>()
    const failed: boolean[] = []
    let watermarkMs = -Infinity
    for (const record of partition.records) {
      const walk = new RecordWalk(books, partition, record, dedupe)
      watermarkMs = walk.walk(watermarkMs)
      failed.push(walk.failed)
      if (isOpen(spec.circuitBreaker, failed, failed.length === partition.records.length)) {
        books.opened.set(`${partition.topic}-${partition.partition}`, failed.length)
        break
      }
    }
  }
  books.writeGold()
  return books
}

/** Whether the breaker opens after these records of a partition: at the end of a block, or of all. */
function isOpen(breaker: CircuitBreakerSpec | null, failed: readonly boolean[], isEnd: boolean): boolean {
  if (breaker === null) return false
  const rest = failed.length % breaker.sample
  if (rest !== 0 && !(isEnd && rest >= breaker.sample / 10)) return false
  const block = failed.slice(failed.length - (rest === 0 ? breaker.sample : rest))
  return block.filter(Boolean).length > breaker.maxShare * block.length
}

/** Everything that is written down on the way. */
class Books implements OracleResult {
  readonly spec: PipelineSpec
  readonly tables: ReadonlyMap<string, Cells[]>
  readonly topics: ReadonlyMap<string, Cells[]>
  readonly deadLetters: OracleLetter[] = []
  readonly late: Record<string, number> = {}
  readonly dropped: Record<string, number> = {}
  readonly opened = new Map<string, number>()
  records = 0
  readonly #panes = new Map<AggregateNode, Map<string, Pane>>()

  constructor(spec: PipelineSpec) {
    this.spec = spec
    this.tables = new Map(spec.tables.map((table) => [`${table.layer}/${table.name}`, []]))
    this.topics = new Map((spec.topics ?? []).map(({ name }) => [name, []]))
  }

  addToPane(node: AggregateNode, { row, timeMs }: Passing): void {
    const panes = this.#panes.get(node) ?? new Map<string, Pane>()
    this.#panes.set(node, panes)
    const startMs = windowStart(node, timeMs)
    const text = `${startMs} ${keyText(schemaOf(node.input), node.keyBy, row)}`
    const pane = panes.get(text) ?? { startMs, key: node.keyBy.map((field) => row[field]), rows: [] }
    panes.set(text, pane)
    pane.rows.push(row)
  }

  writeGold(): void {
    for (const { name, input } of this.spec.tables)
      if (input.kind === 'aggregate') this.#writeResults(input, this.tables.get(`gold/${name}`)!)
    for (const { name, input } of this.spec.topics ?? []) this.#writeResults(input, this.topics.get(name)!)
  }

  #writeResults(node: AggregateNode, rows: Cells[]): void {
    const schema = schemaOf(node.input)
    for (const pane of this.#panes.get(node)?.values() ?? []) {
      rows.push({
        ...Object.fromEntries(node.keyBy.map((field, i) => [field, cellOfField(schema, field, pane.key[i])])),
        window_start: String(BigInt(pane.startMs) * 1000n),
        window_end: String(BigInt(pane.startMs + node.window.sizeMs) * 1000n),
        ...Object.fromEntries(node.aggregates.map((one) => [one.name, aggregateOf(one, schema, pane.rows)])),
      })
    }
  }
}

/** One record on its way through the pipeline. */
class RecordWalk {
  /** It became a dead letter, other than a late one. */
  failed = false
  readonly #books: Books
  readonly #record: OracleRecord
  readonly #origin: Cells
  /** Of the partition: for each step the newest event time of each key. */
  readonly #dedupe: Map<DedupeNode, Map<string, number>>
  /** What each node let pass: a step that several tables share sees the row once. */
  readonly #done = new Map<RowNode | AggregateNode, Passing | null>()

  constructor(
    books: Books,
    partition: OraclePartition,
    record: OracleRecord,
    dedupe: Map<DedupeNode, Map<string, number>>,
  ) {
    this.#books = books
    this.#record = record
    this.#origin = originOf(partition, record)
    this.#dedupe = dedupe
  }

  /** From the watermark before the record to that after it. */
  walk(watermarkMs: number): number {
    const { spec, tables } = this.#books
    const { source } = spec
    this.#books.records++
    const { decoded, arrivalMs } = this.#record
    if (decoded.kind === 'refused') {
      this.#refuse(decoded.reason, 'decode')
      return watermarkMs
    }
    for (const { layer, name } of spec.tables) {
      if (layer !== 'bronze') continue
      tables.get(`bronze/${name}`)!.push({ ...cellsOf(source.schema.avro, decoded.row), ...this.#origin })
    }
    const timeMs = eventTimeOf(spec, decoded.row)
    if (timeMs === null) {
      this.#refuse('invalid', 'event-time')
      return watermarkMs
    }
    if (source.watermark !== null && timeMs > arrivalMs + source.watermark.futureLimitMs) {
      this.#refuse('future', 'event-time')
      return watermarkMs
    }
    this.#done.set(source, { row: decoded.row, timeMs, watermarkMs })
    for (const { layer, name, input } of spec.tables) {
      const passing = layer === 'bronze' ? null : this.#through(input)
      if (passing !== null && layer === 'silver') {
        tables.get(`silver/${name}`)!.push(cellsOf(schemaOf(input as RowNode), passing.row))
      }
    }
    for (const { input } of spec.topics ?? []) this.#through(input)
    return source.watermark === null ? watermarkMs : Math.max(watermarkMs, timeMs - source.watermark.boundMs)
  }

  /** The row as the node lets it pass, or null. */
  #through(node: RowNode | AggregateNode): Passing | null {
    if (!this.#done.has(node)) this.#done.set(node, this.#step(node))
    return this.#done.get(node)!
  }

  #step(node: RowNode | AggregateNode): Passing | null {
    if (node.kind === 'source') return null
    if (node.kind === 'late') {
      this.#through(node.input)
      const passing = this.#through(node.input.input)
      return passing !== null && isLate(node.input, passing) ? passing : null
    }
    const passing = this.#through(node.input)
    if (passing === null) return null
    try {
      switch (node.kind) {
        case 'expect':
          return node.rules.every(({ field, rule }) => passes(rule, passing.row[field]))
            ? passing
            : this.#refuse('invalid', node.name)
        case 'filter':
          return node.predicate(passing.row as never) ? passing : this.#drop(node.name)
        case 'map':
          return this.#map(node, passing)
        case 'dedupe':
          return this.#isDuplicate(node, passing) ? this.#drop(node.name) : passing
        case 'aggregate':
          return this.#aggregate(node, passing)
        default:
          return unreachable(node)
      }
    } catch {
      return this.#refuse('processing', node.name)
    }
  }

  #map(node: MapNode, passing: Passing): Passing | null {
    const row: unknown = node.transform(passing.row as never)
    if (row === null) return this.#drop(node.name)
    return fitsAvro(node.schema.avro, row)
      ? { ...passing, row: row as Row }
      : this.#refuse('invalid', node.name)
  }

  #isDuplicate(node: DedupeNode, { row, timeMs, watermarkMs }: Passing): boolean {
    const newest = this.#dedupe.get(node) ?? new Map<string, number>()
    this.#dedupe.set(node, newest)
    const key = keyText(schemaOf(node.input), node.by, row)
    const seen = newest.get(key) ?? -Infinity
    if (Math.abs(timeMs - seen) < node.withinMs && watermarkMs < seen + node.withinMs) return true
    newest.set(key, Math.max(seen, timeMs))
    return false
  }

  #aggregate(node: AggregateNode, passing: Passing): Passing | null {
    if (!isLate(node, passing)) {
      this.#books.addToPane(node, passing)
      return passing
    }
    this.#books.late[node.name] = (this.#books.late[node.name] ?? 0) + 1
    return node.late === 'dead-letter' ? this.#refuse('late', node.name) : null
  }

  #drop(name: string): null {
    this.#books.dropped[name] = (this.#books.dropped[name] ?? 0) + 1
    return null
  }

  #refuse(reason: string, stage: string): null {
    const { value } = this.#record
    if (reason !== 'late') this.failed = true
    this.#books.deadLetters.push({
      reason,
      stage,
      record: this.#origin,
      value: value === null ? null : hexOf(value),
    })
    return null
  }
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

/** NaN where the stream has no event time. */
function eventTimeOf(spec: PipelineSpec, row: Row): number | null {
  if (spec.source.eventTime === null) return Number.NaN
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
      const length =
        typeof value === 'string' ? Array.from(value).length : (value as ArrayLike<unknown>).length
      return length >= rule.min && length <= rule.max
    }
    case 'satisfies':
      return rule.test(value)
    default:
      return unreachable(rule)
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
