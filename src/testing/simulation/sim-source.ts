import { PipelineError } from '../../errors.ts'
import type {
  GroupOffset,
  Header,
  Membership,
  PartitionReader,
  ReadResult,
  RecordBatch,
  SchemaRegistry,
  Source,
  SourcePartition,
} from '../../ports.ts'
import type { Prng } from './prng.ts'
import type { SimProcess } from './scheduler.ts'

/** A record as a broker holds it. */
export interface RawRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly arrivalMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly Header[] | null
}

/** The whole input of a simulation; the same for every process. */
export interface SimRecording {
  readonly partitions: readonly SimPartition[]
}

export interface SimPartition extends SourcePartition {
  /** Those that follow it: a shard that is split or merged. Absent: none ever will. */
  readonly children?: readonly string[]
  /** In position order: offsets ascend and may have gaps, arrivals do not descend. */
  readonly records: readonly RawRecord[]
}

export interface SimSourceOptions {
  /** That a read of a partition that has records left says `quiet`. */
  readonly quietChance: number
  /** How many records a read may return; one of them is drawn for each. */
  readonly batchSizes: readonly number[]
  /** Reads keep to the order of arrival over all partitions, as a recording's do. */
  readonly isOrdered: boolean
  /** Records of each partition after which the source says `stop`; null where it reads to the end. */
  readonly stopAfter: number | null
}

/** What a source has of the broker that its records lie on. */
export interface SimSourceKafka {
  /** Present where processes share the source. It is live then: after the last record comes silence, and no end. */
  readonly membership?: Membership
  /** Partitions that are there by now. */
  partitions(): ReadonlySet<string>
  /** Of these, those that a list does not have any more. */
  gone(): ReadonlySet<string>
  /** Waits for records, as a fetch does. */
  wait(): Promise<void>
  groupOffset(partition: SourcePartition, offset: number): GroupOffset
  showPublished(offset: GroupOffset): void
}

/** One process's way to the recording. */
export class SimSource implements Source {
  readonly description = 'simulated source'
  readonly membership?: Membership
  /** Where there are shards. */
  readonly partitionOf?: (id: string) => SourcePartition | null
  readonly #kafka: SimSourceKafka | null
  readonly #process: SimProcess
  readonly #recording: SimRecording
  readonly #options: SimSourceOptions
  readonly #random: Prng
  /** When the next record of each open reader arrives. */
  readonly #nextArrivalMs = new Map<string, number>()
  #deliveredMs: number
  /** Records handed out to this process. */
  delivered = 0

  constructor(
    process: SimProcess,
    recording: SimRecording,
    options: SimSourceOptions,
    random: Prng,
    kafka: SimSourceKafka | null,
  ) {
    if (kafka?.membership !== undefined) this.membership = kafka.membership
    if (recording.partitions.some(({ parents }) => parents !== undefined))
      this.partitionOf = (id) => {
        const found = recording.partitions.find((partition) => partition.id === id)
        return found === undefined ? null : listed(found)
      }
    this.#kafka = kafka
    this.#process = process
    this.#recording = recording
    this.#options = options
    this.#random = random
    this.#deliveredMs = Math.min(...recording.partitions.flatMap((p) => p.records.map((r) => r.arrivalMs)))
  }

  partitions(): Promise<readonly SourcePartition[]> {
    return this.#process.call('read', 'partitions', () => {
      const present = this.#kafka?.partitions()
      const gone = this.#kafka?.gone()
      return this.#recording.partitions
        .filter(({ id }) => present?.has(id) !== false && gone?.has(id) !== true)
        .map(listed)
    })
  }

  groupOffset(partition: SourcePartition, position: string): GroupOffset | null {
    const { records } = this.#partitionOf(partition)
    const last = records[indexOf(this.#partitionOf(partition), position) - 1]
    return last === undefined ? null : (this.#kafka?.groupOffset(partition, last.offset + 1) ?? null)
  }

  showPublished(offset: GroupOffset): void {
    this.#kafka?.showPublished(offset)
  }

  async open(
    partition: SourcePartition,
    position: string | null,
    parentPositions: readonly string[] = [],
  ): Promise<PartitionReader> {
    const source = this.#partitionOf(partition)
    const after = parentPositions.length === 0 ? '' : ` after ${parentPositions.join(' ')}`
    await this.#process.call('read', `open ${partition.id} at ${position}${after}`, () => undefined)
    let next = indexOf(source, position)
    let isClosed = false
    this.#moveTo(source, next)
    const isNew = position === null && (partition.parents ?? []).length > 0
    return {
      start: isNew ? positionOf(source, 0) : undefined,
      read: async (recordsMax) => {
        if (this.#isLive && next >= source.records.length) await this.#kafka!.wait()
        if (isClosed) return { kind: 'stop' }
        return this.#process.call(
          'read',
          `read ${partition.id} at ${next}`,
          (): ReadResult => {
            // A read that nobody waits for any more holds back nobody else.
            if (isClosed) return { kind: 'stop' }
            const result = this.#read(source, next, recordsMax)
            if (result.kind === 'records') next += result.batch.count
            this.#moveTo(source, next)
            return result
          },
          (result) => (result.kind === 'records' ? `${result.batch.count} records` : result.kind),
        )
      },
      close: () => {
        isClosed = true
        this.#nextArrivalMs.delete(source.id)
        return Promise.resolve()
      },
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  get #isLive(): boolean {
    return this.membership !== undefined
  }

  #partitionOf({ id }: SourcePartition): SimPartition {
    const found = this.#recording.partitions.find((partition) => partition.id === id)
    if (found === undefined) throw new PipelineError('SIM_NO_PARTITION', `no partition ${id}`)
    return found
  }

  #endOf({ records }: SimPartition): number {
    return Math.min(this.#options.stopAfter ?? records.length, records.length)
  }

  #moveTo(partition: SimPartition, next: number): void {
    if (next >= this.#endOf(partition)) this.#nextArrivalMs.delete(partition.id)
    else this.#nextArrivalMs.set(partition.id, partition.records[next]!.arrivalMs)
  }

  /** When the next record of any other open reader arrives. */
  #othersMs({ id }: SimPartition): number {
    return Math.min(
      ...[...this.#nextArrivalMs].filter(([other]) => other !== id).map(([, arrivalMs]) => arrivalMs),
    )
  }

  #read(partition: SimPartition, from: number, recordsMax: number): ReadResult {
    const { quietChance, batchSizes, isOrdered } = this.#options
    const end = this.#endOf(partition)
    const { children } = partition
    const present = this.#kafka?.partitions()
    if (from >= partition.records.length && children?.every((id) => present?.has(id) !== false) === true)
      return { kind: 'handed-on', to: children, position: positionOf(partition, from) }
    if (from >= end && this.#isLive)
      return { kind: 'quiet', arrivalClockMs: this.#deliveredMs, ...this.#moved(partition, from) }
    if (from >= end) return { kind: end < partition.records.length ? 'stop' : 'end' }
    const nextMs = partition.records[from]!.arrivalMs
    const othersMs = isOrdered ? this.#othersMs(partition) : Infinity
    if (nextMs > othersMs || this.#random.chance(quietChance)) {
      // Never later than what comes next here: the source has reached this time without a record for the partition.
      return {
        kind: 'quiet',
        arrivalClockMs: Math.min(this.#deliveredMs, nextMs),
        ...this.#moved(partition, from),
      }
    }
    let count = Math.min(this.#random.pick(batchSizes), recordsMax, end - from)
    while (count > 1 && partition.records[from + count - 1]!.arrivalMs > othersMs) count--
    const records = partition.records.slice(from, from + count)
    this.delivered += count
    this.#deliveredMs = Math.max(this.#deliveredMs, records.at(-1)!.arrivalMs)
    return { kind: 'records', batch: batchOf(partition, records, from) }
  }

  /** Of a shard, now and then another position of the same meaning. */
  #moved(partition: SimPartition, from: number): { readonly position?: string } {
    if (this.partitionOf === undefined || !this.#random.chance(0.02)) return {}
    return { position: `${positionOf(partition, from)}~${this.#random.integer(0, 9)}` }
  }
}

/** As a list has it. */
export function listed({ id, topic, partition, parents }: SimPartition): SourcePartition {
  return { id, topic, partition, ...(parents && { parents }) }
}

/** A position that only this source understands: how many records came before, and a check. */
function positionOf(partition: SimPartition, index: number): string {
  return `${partition.id}~${index}`
}

function indexOf(partition: SimPartition, position: string | null): number {
  if (position === null) return 0
  const [id, index] = position.split('~')
  if (id !== partition.id) throw new PipelineError('SIM_POSITION', `${position} is not of ${partition.id}`)
  return Number(index)
}

function batchOf(partition: SimPartition, records: readonly RawRecord[], from: number): RecordBatch {
  const count = records.length
  const parts: Uint8Array[] = []
  let size = 0
  const append = (bytes: Uint8Array | null, starts: Int32Array, ends: Int32Array, row: number): void => {
    starts[row] = size
    ends[row] = -1
    if (bytes === null) return
    parts.push(bytes)
    size += bytes.length
    ends[row] = size
  }
  const keyStart = new Int32Array(count)
  const keyEnd = new Int32Array(count)
  const valueStart = new Int32Array(count)
  const valueEnd = new Int32Array(count)
  records.forEach((record, row) => {
    append(record.key, keyStart, keyEnd, row)
    append(record.value, valueStart, valueEnd, row)
  })
  const arena = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    arena.set(part, at)
    at += part.length
  }
  return {
    count,
    arena,
    keyStart,
    keyEnd,
    valueStart,
    valueEnd,
    offsets: Float64Array.from(records, (record) => record.offset),
    timestampsMs: Float64Array.from(records, (record) => record.timestampMs),
    arrivalsMs: Float64Array.from(records, (record) => record.arrivalMs),
    headers: records.some((record) => record.headers !== null)
      ? records.map((record) => record.headers)
      : null,
    positionAfter: (index) => positionOf(partition, from + index + 1),
  }
}

/** The writers' schemas by id. */
export class SimRegistry implements SchemaRegistry {
  readonly description = 'simulated registry'
  readonly #process: SimProcess
  readonly #schemas: ReadonlyMap<number, string>

  constructor(process: SimProcess, schemas: ReadonlyMap<number, string>) {
    this.#process = process
    this.#schemas = schemas
  }

  schemaById(id: number): Promise<string | null> {
    return this.#process.call(
      'read',
      `schema ${id}`,
      () => this.#schemas.get(id) ?? null,
      (schema) => (schema === null ? 'none' : 'found'),
    )
  }
}
