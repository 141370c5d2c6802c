import { parseAvroSchema } from '../../src/avro/schema-model.ts'
import type { ColumnBatch } from '../../src/columns/column.ts'
import {
  type MergeOutput,
  type MergeSnapshot,
  type MergeState,
  MergeTask,
} from '../../src/engine/merge-task.ts'
import type { PartialsJson } from '../../src/engine/partial.ts'
import {
  type EpochOutput,
  type KeyedOutput,
  type PartitionState,
  PartitionTask,
} from '../../src/engine/partition-task.ts'
import { compilePlan, type Plan } from '../../src/engine/plan.ts'
import { WriterSchemas } from '../../src/engine/writer-schemas.ts'
import type { RecordBatch } from '../../src/ports.ts'
import type { Cells } from '../../src/testing/oracle/oracle.ts'
import { cellOf } from '../../src/testing/simulation/jsonl-encoder.ts'
import type { RawRecord } from '../../src/testing/simulation/sim-source.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'

/** One partition: its records are taken in their order, as many as one says. */
export interface EnginePartition {
  readonly id: string
  readonly topic: string
  readonly partition: number
  readonly records: readonly RawRecord[]
}

/** What one epoch of the merge tasks wrote. */
export interface Fired {
  /** By topic: new revisions, and the keys that got a null value. */
  readonly results: readonly Cells[]
  readonly retracted: readonly Cells[]
}

const NO_LIMIT = Number.MAX_SAFE_INTEGER
/** When tasks write their state. */
export interface RecordingPace {
  /** Of so many epochs of a merge task one writes what has changed. */
  readonly changes: number
  /** Of so many epochs of any task one writes its state whole. */
  readonly whole: number
}

const PACE: RecordingPace = { changes: 2, whole: 6 }
const RULES = { keepFiredPanes: true, allSourcesHoldWatermark: true, parentHoldsWatermark: true }

/**
 * The engine's tasks alone, without a runtime: one says which records each partition takes, where epochs end, when everybody goes on from what was recorded, and
 * in which order the merge hears of the partitions. Tables and topics are kept as their readers see them.
 */
export class EngineRun {
  readonly plan: Plan
  /** Rows of the tables that partition tasks write. */
  readonly rows = new Map<string, Cells[]>()
  readonly #schemas: WriterSchemas
  readonly #partitions: readonly Partition[]
  readonly #merges: readonly (readonly Merge[])[]
  /** Rows of the tables that merge tasks write, by table and epoch: their files. */
  readonly #files = new Map<string, Map<string, readonly Cells[]>>()
  #fired: Fired = { results: [], retracted: [] }
  #clockMs = -Infinity

  constructor(
    spec: PipelineSpec,
    partitions: readonly EnginePartition[],
    schemas: ReadonlyMap<number, string>,
    pace = PACE,
  ) {
    const topics = [...new Set(partitions.map(({ topic }) => topic))]
    this.plan = compilePlan(spec, topics)
    this.#schemas = new WriterSchemas(parseAvroSchema(spec.source.schema.avro))
    for (const [id, json] of schemas) this.#schemas.learn(id, json)
    for (const { records } of partitions)
      for (const id of this.#schemas.missingIn(batchOf(records))) this.#schemas.learn(id, null)
    this.#partitions = partitions.map(
      (partition) => new Partition(this.plan, partition, topics, this.#schemas, pace),
    )
    const { stages, slices } = this.plan
    this.#merges = Array.from({ length: stages }, (_, stage) => {
      const tasks =
        stage === 0
          ? partitions.map(({ id }) => id)
          : Array.from({ length: slices }, (_, i) => mergeName(stage - 1, i))
      return Array.from({ length: slices }, (_, slice) => new Merge(this.plan, stage, slice, tasks, pace))
    })
  }

  /** The newest arrival so far. */
  get clockMs(): number {
    return this.#clockMs
  }

  /** A partition takes its next records, in one batch. */
  take(index: number, count: number): void {
    this.#clockMs = Math.max(this.#clockMs, this.#partitions[index]!.take(count))
  }

  /** The arrival clock moves: partitions that have been silent for long enough end an epoch in which they are idle. */
  quiet(clockMs: number): void {
    this.#clockMs = Math.max(this.#clockMs, clockMs)
    const firstArrivalMs = Math.min(...this.#partitions.map((partition) => partition.firstArrivalMs))
    for (const partition of this.#partitions) partition.quiet(clockMs, firstArrivalMs)
  }

  get partitions(): readonly { readonly left: number; readonly records: number }[] {
    return this.#partitions
  }

  /** A partition ends its epoch; at the end of its records also its input. */
  cutPartition(index: number): void {
    this.#partitions[index]!.cut(this.rows)
  }

  /** Merge tasks fold the epochs that the partitions have ended since, in the order given, and end one of their own. */
  cutMerges(order: readonly number[] = this.#partitions.map((_, i) => i)): Fired {
    this.#fired = { results: [], retracted: [] }
    const epochs = order.flatMap((index) => this.#partitions[index]!.takeEpochs())
    this.#merges.forEach((merges, stage) => {
      const inputs: readonly SourceOutput[] =
        stage === 0 ? epochs : this.#merges[stage - 1]!.flatMap((merge) => merge.takeOutputs())
      for (const merge of merges) {
        const output = merge.run(inputs, this.#clockMs)
        this.#write(merge.name, merge.epoch, output)
        merge.clear()
      }
    })
    return this.#fired
  }

  /** Everybody ends an epoch. */
  cut(): Fired {
    this.#partitions.forEach((_, i) => this.cutPartition(i))
    return this.cutMerges()
  }

  /** Everybody goes on from what was recorded; what was not is taken again. */
  restart(): void {
    for (const partition of this.#partitions) partition.restart()
    for (const merge of this.#merges.flat()) merge.restart()
  }

  /** All that is left, and the end of the input. */
  finish(): Fired {
    for (const partition of this.#partitions) {
      this.#clockMs = Math.max(this.#clockMs, partition.take(partition.left))
      partition.end()
    }
    return this.cut()
  }

  /** What a reader of a table sees: columns that tell of the run are left out. */
  table(path: string): readonly Cells[] {
    return [...(this.#files.get(path)?.values() ?? [])].flat().concat(this.rows.get(path) ?? [])
  }

  /** Totals of the partitions and of the merge tasks. */
  total(kind: 'late' | 'dropped'): Readonly<Record<string, number>> {
    const total: Record<string, number> = {}
    for (const { totals } of [...this.#partitions, ...this.#merges.flat()]) {
      for (const [name, count] of Object.entries(totals[kind])) total[name] = (total[name] ?? 0) + count
    }
    return total
  }

  #write(name: string, epoch: number, { tables, topics }: MergeOutput): void {
    for (const { shape, batch, selection, count, replaces } of tables) {
      const files = this.#files.get(shape.path) ?? new Map<string, readonly Cells[]>()
      this.#files.set(shape.path, files)
      for (const replaced of replaces) files.delete(`${name} ${replaced}`)
      files.set(`${name} ${epoch}`, cellsIn(batch, selection, count))
    }
    for (const { batch, selection, count, retracted } of topics) {
      this.#fired = {
        results: [...this.#fired.results, ...cellsIn(batch, selection, count)],
        retracted: [
          ...this.#fired.retracted,
          ...cellsIn(retracted.batch, retracted.selection, retracted.count),
        ],
      }
    }
  }
}

/** What a task hands on to the merge tasks above it. */
interface SourceOutput {
  readonly task: string
  readonly epoch: number
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
  readonly lastArrivalMs: number
  readonly partials: readonly (PartialsJson | null)[]
}

class Partition {
  readonly #plan: Plan
  readonly #schemas: WriterSchemas
  readonly #origin: EnginePartition
  readonly #pace: RecordingPace
  readonly #topics: readonly string[]
  #task: PartitionTask
  #next = 0
  #epoch = 0
  #changed = false
  #epochs: SourceOutput[] = []
  /** At rest. */
  #recorded: { readonly next: number; readonly state: string | null } = { next: 0, state: null }
  readonly #keyed: string[] = []

  constructor(
    plan: Plan,
    origin: EnginePartition,
    topics: readonly string[],
    schemas: WriterSchemas,
    pace: RecordingPace,
  ) {
    this.#plan = plan
    this.#pace = pace
    this.#topics = topics
    this.#schemas = schemas
    this.#origin = origin
    this.#task = this.#create(null)
  }

  get left(): number {
    return this.#origin.records.length - this.#next
  }

  /** In the open epoch. */
  get records(): number {
    return this.#task.records
  }

  get totals(): PartitionState['totals'] {
    return this.#task.totals
  }

  get firstArrivalMs(): number {
    return this.#next === 0 ? Infinity : this.#origin.records[0]!.arrivalMs
  }

  /** Returns the newest arrival of these records. */
  take(count: number): number {
    const records = this.#origin.records.slice(this.#next, this.#next + count)
    if (records.length === 0) return -Infinity
    const end = this.#task.add(batchOf(records), 0, { rowsMax: NO_LIMIT, bytesMax: Infinity })
    if (end !== records.length) throw new Error('a task without limits takes all')
    this.#next += records.length
    this.#changed = true
    return Math.max(...records.map(({ arrivalMs }) => arrivalMs))
  }

  quiet(clockMs: number, firstArrivalMs: number): void {
    if (this.#task.observeQuiet(clockMs, firstArrivalMs)) this.#changed = true
  }

  end(): void {
    if (this.#task.ended) return
    this.#task.end()
    this.#changed = true
  }

  cut(rows: Map<string, Cells[]>): void {
    if (!this.#changed) return
    this.#changed = false
    const output: EpochOutput = this.#task.cut(0)
    for (const { shape, batch, selection, count } of output.tables) {
      const table = rows.get(shape.path) ?? []
      rows.set(shape.path, table)
      table.push(...cellsIn(batch, selection, count))
    }
    const { watermarkMs, idle, ended, lastArrivalMs } = output.state
    const partials = JSON.parse(JSON.stringify(output.partials)) as readonly (PartialsJson | null)[]
    const { id } = this.#origin
    this.#epochs.push({ task: id, epoch: this.#epoch++, watermarkMs, idle, ended, lastArrivalMs, partials })
    const isWhole = this.#epoch % this.#pace.whole === 0
    if (isWhole) this.#keyed.length = 0
    for (const part of this.#task.cutKeyed(isWhole ? 'snapshot' : 'changes'))
      this.#keyed.push(JSON.stringify(part))
    this.#recorded = { next: this.#next, state: toText(output.state) }
    this.#task.clear()
  }

  takeEpochs(): readonly SourceOutput[] {
    const epochs = this.#epochs
    this.#epochs = []
    return epochs
  }

  restart(): void {
    const { next, state } = this.#recorded
    this.#next = next
    this.#changed = false
    this.#task = this.#create(state === null ? null : (fromText(state) as PartitionState))
    for (const part of this.#keyed) this.#task.restoreKeyed(JSON.parse(part) as KeyedOutput)
  }

  #create(state: PartitionState | null): PartitionTask {
    const { id, topic, partition } = this.#origin
    const origin = {
      pipeline: this.#plan.spec.name,
      incarnation: 1,
      task: id,
      topics: this.#topics,
      topicIndex: this.#topics.indexOf(topic),
      partition,
    }
    return new PartitionTask(this.#plan, origin, this.#schemas, state)
  }
}

class Merge {
  readonly name: string
  epoch = -1
  readonly #plan: Plan
  readonly #stage: number
  readonly #slice: number
  readonly #tasks: readonly string[]
  readonly #pace: RecordingPace
  #task: MergeTask
  #outputs: SourceOutput[] = []
  /** At rest: the state as of some epoch, and the inputs of the epochs since. */
  #state: string | null = null
  readonly #parts: string[] = []
  readonly #since: {
    readonly epoch: number
    readonly inputs: readonly SourceOutput[]
    readonly clockMs: number
  }[] = []

  constructor(plan: Plan, stage: number, slice: number, tasks: readonly string[], pace: RecordingPace) {
    this.#pace = pace
    this.name = mergeName(stage, slice)
    this.#plan = plan
    this.#stage = stage
    this.#slice = slice
    this.#tasks = tasks
    this.#task = this.#create(null)
  }

  get totals(): MergeState['totals'] {
    return this.#task.state.totals
  }

  run(inputs: readonly SourceOutput[], clockMs: number): MergeOutput {
    const epoch = ++this.epoch
    this.#fold(inputs)
    const output = this.#task.cut({ epoch, nowMs: clockMs })
    const { state, isEnded } = this.#task
    this.#outputs.push({
      task: this.name,
      epoch: this.epoch,
      watermarkMs: isEnded ? Infinity : state.downstreamWatermarkMs,
      idle: false,
      ended: isEnded,
      lastArrivalMs: clockMs,
      partials: JSON.parse(JSON.stringify(output.partials)) as readonly (PartialsJson | null)[],
    })
    this.#since.push({ epoch, inputs, clockMs })
    return output
  }

  clear(): void {
    this.#task.clear()
    this.#record()
  }

  /** Now and then the state is written: what has changed, or all of it. */
  #record(): void {
    if (this.epoch % this.#pace.changes !== 0) return
    const isWhole = this.epoch % this.#pace.whole === 0
    if (isWhole) this.#parts.length = 0
    for (const part of this.#task.snapshot(isWhole ? 'full' : 'changes'))
      this.#parts.push(JSON.stringify(part))
    this.#state = toText(this.#task.state)
    this.#since.length = 0
  }

  #fold(inputs: readonly SourceOutput[]): void {
    for (const { partials, ...source } of inputs)
      this.#task.fold({ ...source, partials: partials[this.#slice] ?? null })
  }

  takeOutputs(): readonly SourceOutput[] {
    const outputs = this.#outputs
    this.#outputs = []
    return outputs
  }

  restart(): void {
    this.#task = this.#create(this.#state === null ? null : (fromText(this.#state) as MergeState))
    for (const part of this.#parts) this.#task.restore(JSON.parse(part) as MergeSnapshot)
    // What was written then is written: the same cuts bring the state to where it was.
    for (const { epoch, inputs, clockMs } of this.#since) {
      this.#fold(inputs)
      this.#task.cut({ epoch, nowMs: clockMs })
      this.#task.clear()
    }
  }

  #create(state: MergeState | null): MergeTask {
    const [stage, slice, tasks] = [this.#stage, this.#slice, this.#tasks]
    return new MergeTask(this.#plan, { stage, slice, tasks, state, rules: RULES })
  }
}

function mergeName(stage: number, slice: number): string {
  return stage === 0 ? `merge-${slice}` : `merge${stage + 1}-${slice}`
}

/** Infinities are no JSON. */
function toText(state: unknown): string {
  return JSON.stringify(state, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value,
  )
}

function fromText(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'number' in value ? Number(value.number) : value,
  )
}

const OF_THE_RUN = new Set(['_processed_at', 'message', 'stack', 'pipeline', 'incarnation', 'task'])

function cellsIn(batch: ColumnBatch, selection: Int32Array | null, count: number): readonly Cells[] {
  const columns = batch.columns.filter(({ field }) => !OF_THE_RUN.has(field.name))
  return Array.from({ length: count }, (_, i) => {
    const row = selection === null ? i : selection[i]!
    return Object.fromEntries(columns.map((column) => [column.field.name, cellOf(column, row)]))
  })
}

export function batchOf(records: readonly RawRecord[]): RecordBatch {
  const bytes = records.flatMap(({ key, value }) => [key, value])
  const arena = new Uint8Array(bytes.reduce((sum, part) => sum + (part?.length ?? 0), 0))
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (const part of bytes) {
    starts.push(at)
    if (part !== null) arena.set(part, at)
    at += part?.length ?? 0
    ends.push(part === null ? -1 : at)
  }
  const every = (values: readonly number[], first: number): Int32Array =>
    Int32Array.from(records, (_, i) => values[i * 2 + first]!)
  return {
    count: records.length,
    arena,
    keyStart: every(starts, 0),
    keyEnd: every(ends, 0),
    valueStart: every(starts, 1),
    valueEnd: every(ends, 1),
    offsets: Float64Array.from(records, ({ offset }) => offset),
    timestampsMs: Float64Array.from(records, ({ timestampMs }) => timestampMs),
    arrivalsMs: Float64Array.from(records, ({ arrivalMs }) => arrivalMs),
    headers: records.some(({ headers }) => headers !== null) ? records.map(({ headers }) => headers) : null,
    positionAfter: (index) => String(records[index]!.offset + 1),
  }
}
