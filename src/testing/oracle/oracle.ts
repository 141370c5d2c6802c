import { unreachable } from '../../errors.ts'
import type {
  AggregateNode,
  CircuitBreakerSpec,
  DedupeNode,
  MapNode,
  PipelineSpec,
  ResultNode,
  RowNode,
  UniqueNode,
} from '../../topology/node.ts'
import { hexOf, type Cell } from '../simulation/jsonl-encoder.ts'
import type { RawRecord } from '../simulation/sim-source.ts'
import { cellOfAvro, cellsOf, typeOfField, valueAt } from './cell.ts'
import { fitsAvro } from './fits-avro.ts'
import { type Item, keyOf, type Row } from './item.ts'
import { firstOf, isResult, Results, schemaOf } from './results.ts'
import { passes } from './rule.ts'
import { memberOf } from './sessions.ts'
import { futureOf, millisOf, nextWatermark } from './watermark.ts'
import { isBetween } from './windows.ts'

export { type Row, schemaOf }

/**
 * What a pipeline must write, computed one row at a time in the plainest way, from decisions 0001 and 0007 and from nothing else.
 * Of results it says the last revision: how many there were before depends on timing.
 * It shares no code with the engine.
 */
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
  /** Those that it follows, as `topic-partition`: a shard that was split or merged from them. They come before it. */
  readonly parents?: readonly string[]
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

export function computeOracle(spec: PipelineSpec, partitions: readonly OraclePartition[]): OracleResult {
  const books = new Books(spec)
  const ends = new Map<string, PartitionEnd>()
  const followed = new Set(partitions.flatMap(({ parents = [] }) => parents))
  for (const partition of partitions) {
    const task = `${partition.topic}-${partition.partition}`
    const before = (partition.parents ?? []).map((parent) => ends.get(parent)!)
    const dedupe = liveKeys(before)
    const failed: boolean[] = []
    let watermarkMs = before.length === 0 ? -Infinity : Math.min(...before.map((end) => end.watermarkMs))
    // Sessions of a partition that was further ahead begin anew.
    const lowest = before.filter((end) => end.watermarkMs === watermarkMs)
    books.results.follow(
      task,
      lowest.map((end) => end.task),
      watermarkMs,
    )
    for (const record of partition.records) {
      const walk = new RecordWalk(books, partition, record, dedupe)
      watermarkMs = walk.walk(watermarkMs)
      failed.push(walk.failed)
      const isEnd = failed.length === partition.records.length && !followed.has(task)
      if (isOpen(spec.circuitBreaker, failed, isEnd)) {
        books.opened.set(task, failed.length)
        break
      }
    }
    ends.set(task, { task, watermarkMs, dedupe })
  }
  books.writeResults()
  return books
}

/** What the partitions that follow one need to know of it. */
interface PartitionEnd {
  readonly task: string
  readonly watermarkMs: number
  readonly dedupe: ReadonlyMap<DedupeNode, ReadonlyMap<string, number>>
}

/** The keys that the watermarks of these had not left behind when they ended, each with its newest time. */
function liveKeys(ends: readonly PartitionEnd[]): Map<DedupeNode, Map<string, number>> {
  const live = new Map<DedupeNode, Map<string, number>>()
  for (const { watermarkMs, dedupe } of ends) {
    for (const [node, times] of dedupe) {
      const into = live.get(node) ?? new Map<string, number>()
      live.set(node, into)
      for (const [key, timeMs] of times)
        if (watermarkMs < timeMs + node.withinMs) into.set(key, Math.max(timeMs, into.get(key) ?? -Infinity))
    }
  }
  return live
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
  readonly results = new Results()

  constructor(spec: PipelineSpec) {
    this.spec = spec
    this.tables = new Map(spec.tables.map((table) => [`${table.layer}/${table.name}`, []]))
    this.topics = new Map((spec.topics ?? []).map(({ name }) => [name, []]))
  }

  writeResults(): void {
    const write = (node: ResultNode, rows: Cells[]): void => {
      const schema = schemaOf(node)
      for (const { row } of this.results.of(node)) {
        // Which revision is the last depends on timing.
        const { revision: _, ...cells } = cellsOf(schema, row)
        rows.push(cells)
      }
    }
    for (const { layer, name, input } of this.spec.tables)
      if (isResult(input)) write(input, this.tables.get(`${layer}/${name}`)!)
    for (const { name, input } of this.spec.topics ?? []) write(input, this.topics.get(name)!)
    for (const [name, count] of Object.entries(this.results.dropped))
      this.dropped[name] = (this.dropped[name] ?? 0) + count
  }
}

/** One record on its way through the pipeline. */
class RecordWalk {
  /** It became a dead letter, other than a late one. */
  failed = false
  readonly #books: Books
  readonly #record: OracleRecord
  readonly #origin: Cells
  readonly #task: string
  /** Windows, and dedupes over all partitions, that the row is too late for, with the row as they saw it. */
  readonly #late = new Map<AggregateNode | UniqueNode, Item>()
  /** Of the partition: for each step the newest event time of each key. */
  readonly #dedupe: Map<DedupeNode, Map<string, number>>
  /** What each node let pass: a step that several tables share sees the row once. */
  readonly #done = new Map<Step, Item | null>()

  constructor(
    books: Books,
    partition: OraclePartition,
    record: OracleRecord,
    dedupe: Map<DedupeNode, Map<string, number>>,
  ) {
    this.#books = books
    this.#record = record
    this.#origin = originOf(partition, record)
    this.#task = `${partition.topic}-${partition.partition}`
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
    const stage = futureOf(source, decoded.row, timeMs, arrivalMs)
    if (stage !== null) {
      this.#refuse('future', stage)
      return watermarkMs
    }
    let nextMs: number
    try {
      nextMs = nextWatermark(source, decoded.row, timeMs, watermarkMs)
    } catch {
      this.#refuse('processing', 'watermark')
      return watermarkMs
    }
    const { offset } = this.#record
    this.#done.set(source, { row: decoded.row, timeMs, floorMs: watermarkMs, task: this.#task, offset })
    for (const { layer, name, input } of spec.tables) {
      const passing = layer === 'bronze' ? null : this.#through(stepOf(input))
      if (passing !== null && !isResult(input))
        tables.get(`silver/${name}`)!.push(cellsOf(schemaOf(input), passing.row))
    }
    for (const { input } of spec.topics ?? []) this.#through(stepOf(input))
    return nextMs
  }

  /** The row as the node lets it pass, or null. */
  #through(node: Step): Item | null {
    if (!this.#done.has(node)) this.#done.set(node, this.#step(node))
    return this.#done.get(node)!
  }

  #step(node: Step): Item | null {
    if (node.kind === 'source') return null
    if (node.kind === 'late') {
      this.#through(node.input)
      return this.#late.get(node.input) ?? null
    }
    const passing = this.#through(node.input as RowNode)
    if (passing === null) return null
    try {
      switch (node.kind) {
        case 'expect':
          return node.rules.every(({ field, rule }) => passes(rule, valueAt(passing.row, field)))
            ? passing
            : this.#refuse('invalid', node.name)
        case 'filter':
          return node.predicate(passing.row as never) ? passing : this.#drop(node.name)
        case 'map':
          return this.#map(node, passing)
        case 'dedupe':
          return this.#isDuplicate(node, passing) ? this.#drop(node.name) : passing
        case 'aggregate':
        case 'unique':
          return this.#add(node, passing)
        default:
          return unreachable(node)
      }
    } catch {
      return this.#refuse('processing', node.name)
    }
  }

  #map(node: MapNode, passing: Item): Item | null {
    const row: unknown = node.transform(passing.row as never)
    if (row === null) return this.#drop(node.name)
    return fitsAvro(node.schema.avro, row)
      ? { ...passing, row: row as Row }
      : this.#refuse('invalid', node.name)
  }

  #isDuplicate(node: DedupeNode, { row, timeMs, floorMs }: Item): boolean {
    const newest = this.#dedupe.get(node) ?? new Map<string, number>()
    this.#dedupe.set(node, newest)
    const key = keyText(schemaOf(node.input), node.by, row)
    const seen = newest.get(key) ?? -Infinity
    if (Math.abs(timeMs - seen) < node.withinMs && floorMs < seen + node.withinMs) return true
    newest.set(key, Math.max(seen, timeMs))
    return false
  }

  /** Adds a row to a window, or to a dedupe over all partitions: its keys, then its lateness, then its callbacks. */
  #add(node: AggregateNode | UniqueNode, passing: Item): null {
    const specs = node.kind === 'unique' ? node.by : node.keyBy
    const key = keyOf(schemaOf(node.input), specs, passing.row)
    if (key === null || endsAfterAnyDate(node, passing)) return this.#refuse('invalid', node.name)
    if (node.kind === 'aggregate' && isBetween(node, passing)) return null
    if (!this.#books.results.isLate(node, key, passing)) {
      if (node.kind === 'aggregate') callBack(node, passing.row)
      this.#books.results.add(node, key, passing)
      return null
    }
    this.#late.set(node, passing)
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

/** What a row of a partition goes through. */
type Step = RowNode | AggregateNode | UniqueNode

function stepOf(node: RowNode | ResultNode): Step {
  return isResult(node) ? firstOf(node) : node
}

function endsAfterAnyDate(node: AggregateNode | UniqueNode, item: Item): boolean {
  return (
    node.kind === 'aggregate' && node.window.kind === 'session' && memberOf(node.window, item).endMs > 8.64e15
  )
}

/** Runs what may throw, for this row alone. */
function callBack({ aggregates }: AggregateNode, row: Row): void {
  for (const { spec } of aggregates) {
    if (spec.kind === 'count-if') spec.predicate(row as never)
    if (spec.kind === 'custom') spec.add(spec.init() as never, row as never)
  }
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
  return millisOf(value as number | bigint)
}

function keyText(schema: unknown, fields: readonly string[], row: Row): string {
  return JSON.stringify(fields.map((field) => cellOfAvro(typeOfField(schema, field), valueAt(row, field))))
}
