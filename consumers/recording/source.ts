import { createHash } from 'node:crypto'
import { assert, PipelineError } from '../../src/errors.ts'
import type { Clock, PartitionReader, Source, SourcePartition } from '../../src/ports.ts'
import { ChunkPool } from './chunk.ts'
import { RecordingFile } from './container.ts'
import { Lane, type PassPlace } from './lane.ts'
import { Pace } from './pace.ts'
import { PartitionTable, partitionId } from './partition-table.ts'
import { type PassContext, RecordingPass } from './recording-pass.ts'
import type { PartitionSummary, RecordingSummary } from './recording-summary.ts'
import { type Followers, RecordingReader } from './recording-reader.ts'
import { summariseReadable } from './scan.ts'

export interface RecordingSourceOptions {
  readonly path: string
  /** Needed where the recording has several topics. */
  readonly topic?: string
  /** 'max' (default), or how many seconds of the recording pass in one second: 1, 60. Needs `clock`. */
  readonly speed?: 'max' | number
  /** Stop at the first record that arrived at or after this time: `[.., untilMs)`. */
  readonly untilMs?: number
  readonly clock?: Clock
}

/**
 * A recording as a source: one pass over the file feeds all partitions.
 *
 * Positions are the offset of the next record, in decimal. `partitions()` and `open()` throw RECORDING_MISSING,
 * RECORDING_UNREADABLE, RECORDING_INVALID, RECORDING_TOPICS; `read()` throws RECORDING_CUT, after the records before
 * the cut, and RECORDING_INVALID.
 */
export function recordingSource(options: RecordingSourceOptions): Source {
  const { path, clock, speed = 'max' } = options
  assert(
    speed === 'max' || (speed > 0 && Number.isFinite(speed)),
    `the speed ${speed} is not a positive number`,
  )
  assert(speed === 'max' || clock !== undefined, 'a paced recording needs a clock')
  const pace = speed === 'max' || clock === undefined ? null : new Pace(clock, speed)
  return new RecordingSource(path, options.topic ?? null, options.untilMs ?? Number.POSITIVE_INFINITY, pace)
}

/** What is read to tell one recording from another: its header, and as much of its first block as fits. */
const IDENTITY_BYTES = 65_536

interface OpenRecording extends PassContext {
  readonly start: PassPlace
  readonly sharedPass: RecordingPass
  /** By the id of the partition that they follow. */
  readonly followers: ReadonlyMap<string, Followers>
}

class RecordingSource implements Source {
  readonly description: string
  /** All of it is there: a partition that is quiet in the file is waited for, not called idle. */
  readonly isBacklog: boolean
  readonly #topic: string | null
  readonly #untilMs: number
  readonly #pace: Pace | null
  #opening: Promise<OpenRecording> | null = null
  #opened: OpenRecording | null = null
  #identity: string | undefined

  constructor(path: string, topic: string | null, untilMs: number, pace: Pace | null) {
    this.description = path
    this.#topic = topic
    this.#untilMs = untilMs
    this.#pace = pace
    this.isBacklog = pace === null
  }

  /** Known once the partitions are. */
  get identity(): string | undefined {
    return this.#identity
  }

  async partitions(): Promise<readonly SourcePartition[]> {
    return (await this.#recording()).table.partitions
  }

  async open(partition: SourcePartition, position: string | null): Promise<PartitionReader> {
    const recording = await this.#recording()
    const index = recording.table.partitions.findIndex(({ id }) => id === partition.id)
    assert(index >= 0, `${this.description} has no partition ${partition.id}`)
    const lane = new Lane(index, this.#offsetOf(position), recording.start, recording.pool)
    const newPass = (place: PassPlace) => new RecordingPass(recording, place)
    const context = { sharedPass: recording.sharedPass, newPass, pace: this.#pace }
    return new RecordingReader(context, lane, recording.followers.get(partition.id) ?? null)
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = null
    this.#opening = null
    await opened?.file.close()
  }

  async #recording(): Promise<OpenRecording> {
    this.#opening ??= this.#openRecording()
    try {
      return await this.#opening
    } catch (error) {
      // The next call tries again.
      this.#opening = null
      throw error
    }
  }

  async #openRecording(): Promise<OpenRecording> {
    const file = await RecordingFile.open(this.description)
    try {
      this.#identity = await identityOf(file)
      const summary = file.summary ?? (await partitionsRead(file))
      const topics = [...new Set(summary.partitions.map(({ topic }) => topic))]
      const topic = chooseTopic(this.description, topics, this.#topic)
      const partitions = summary.partitions
        .filter((entry) => entry.topic === topic)
        .map((entry) => partitionOf(entry))
        .sort((a, b) => a.partition - b.partition)
      const start = { position: file.header.bytes, arrivalMs: Number.NEGATIVE_INFINITY }
      const table = new PartitionTable(topic, partitions)
      const context = { file, table, pool: new ChunkPool(), untilMs: this.#untilMs }
      const sharedPass = new RecordingPass(context, start)
      this.#opened = { ...context, start, sharedPass, followers: followersIn(summary, topic, partitions) }
      return this.#opened
    } catch (error) {
      await file.close()
      throw error
    }
  }

  #offsetOf(position: string | null): number {
    if (position === null) return 0
    const offset = /^\d+$/.test(position) ? Number(position) : Number.NaN
    if (Number.isSafeInteger(offset)) return offset
    throw new PipelineError(
      'POSITION_INVALID',
      `${this.description}: '${position}' is not a position in a recording`,
      {
        advice:
          'The lake was probably written from another kind of source. Use another lake, or start with --fresh.',
      },
    )
  }
}

function partitionOf({ topic, partition, parents }: PartitionSummary): SourcePartition {
  const id = partitionId(topic, partition)
  if (parents === undefined) return { id, topic, partition }
  return { id, topic, partition, parents: parents.map((parent) => partitionId(topic, parent)) }
}

function followersIn(
  summary: RecordingSummary,
  topic: string,
  partitions: readonly SourcePartition[],
): ReadonlyMap<string, Followers> {
  const followers = new Map<string, Followers>()
  for (const entry of summary.partitions) {
    if (entry.topic !== topic) continue
    const id = partitionId(topic, entry.partition)
    const ids = partitions.filter(({ parents }) => parents?.includes(id)).map((follower) => follower.id)
    if (ids.length > 0) followers.set(id, { ids, endOffset: entry.nextOffset })
  }
  return followers
}

/** Where the file is cut or broken, reading it says so; only where there is nothing to read, nobody would. */
async function partitionsRead(file: RecordingFile): Promise<RecordingSummary> {
  const { summary, error } = await summariseReadable(file)
  if (summary.records === 0 && error !== null) throw error
  return summary
}

function chooseTopic(path: string, topics: readonly string[], wanted: string | null): string {
  const list = topics.toSorted().join(', ')
  if (wanted !== null) {
    if (topics.includes(wanted)) return wanted
    throw new PipelineError('RECORDING_TOPICS', `${path}: the recording has no topic ${wanted}`, {
      advice: topics.length === 0 ? 'It has no records.' : `It has: ${list}.`,
    })
  }
  if (topics.length > 1) {
    throw new PipelineError('RECORDING_TOPICS', `${path}: the recording has several topics: ${list}`, {
      advice: 'Say which one to read, with the option `topic`.',
    })
  }
  return topics[0] ?? ''
}

/** A recording that was cut and then repaired is still the same. */
async function identityOf(file: RecordingFile): Promise<string> {
  const start = new Uint8Array(Math.min(file.size, IDENTITY_BYTES))
  await file.read(start, 0)
  return createHash('sha256').update(start).digest('hex').slice(0, 16)
}
