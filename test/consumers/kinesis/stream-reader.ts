import { parseKinesisPosition } from '../../../consumers/kinesis/position.ts'
import type { PartitionReader, ReadResult, Source, SourcePartition } from '../../../src/ports.ts'
import { type ReadRow, rowsOf } from './kpl-kit.ts'

export interface StreamRow extends ReadRow {
  readonly task: string
}

/** What a chain would remember of a stream. */
export class StreamProgress {
  /** By task: the position that was recorded last. */
  readonly positions = new Map<string, string>()
  readonly ended = new Map<string, readonly string[]>()
  readonly rows: StreamRow[] = []
}

export interface ReadStreamOptions {
  readonly source: Source
  readonly progress: StreamProgress
  /** Stops as a process does that is killed when so many rows have been read in all. Absent: goes on until each shard is quiet. */
  readonly rowsMax?: number
  readonly recordsMax?: number
  /** Awaits what takes time. */
  readonly within: <T>(promise: Promise<T>) => Promise<T>
}

/** Reads a stream as the runtime does: a shard after its parents, each from its position. */
export async function readStream(options: ReadStreamOptions): Promise<void> {
  const readers = new Map<string, PartitionReader>()
  try {
    await new Reading(options, readers).run()
  } finally {
    for (const reader of readers.values()) await reader.close()
  }
}

class Reading {
  readonly #options: ReadStreamOptions
  readonly #readers: Map<string, PartitionReader>

  constructor(options: ReadStreamOptions, readers: Map<string, PartitionReader>) {
    this.#options = options
    this.#readers = readers
  }

  async run(): Promise<void> {
    const quiet = new Set<string>()
    for (;;) {
      await this.#openDue()
      if ([...this.#readers.keys()].every((task) => quiet.has(task))) return
      for (const [task, reader] of this.#readers) {
        const result = await this.#options.within(reader.read(this.#options.recordsMax ?? 100))
        if (result.kind === 'quiet') quiet.add(task)
        else if (result.kind !== 'records' || result.batch.count > 0) quiet.clear()
        if (this.#take(task, result) === 'killed') return
      }
    }
  }

  async #openDue(): Promise<void> {
    const { source, progress, within } = this.#options
    for (const partition of await within(source.partitions())) {
      const { id, parents = [] } = partition
      const isDue = parents.every((parent) => progress.ended.has(parent))
      if (!isDue || progress.ended.has(id) || this.#readers.has(id)) continue
      this.#readers.set(id, await this.#open(partition))
    }
  }

  async #open(partition: SourcePartition): Promise<PartitionReader> {
    const { source, progress, within } = this.#options
    const { id, parents = [] } = partition
    const position = progress.positions.get(id) ?? null
    const parentPositions = parents.map((parent) => progress.positions.get(parent)!)
    const reader = await within(source.open(partition, position, parentPositions))
    if (position === null) progress.positions.set(id, reader.start!)
    return reader
  }

  #take(task: string, result: ReadResult): 'killed' | 'goes on' {
    const { progress, rowsMax = Number.POSITIVE_INFINITY } = this.#options
    if (result.kind === 'records') {
      for (const row of rowsOf(result.batch)) {
        progress.rows.push({ ...row, task })
        progress.positions.set(task, row.after)
        if (progress.rows.length >= rowsMax) return 'killed'
      }
    } else if (result.kind === 'handed-on') {
      progress.positions.set(task, result.position)
      progress.ended.set(task, result.to)
      void this.#readers.get(task)!.close()
      this.#readers.delete(task)
    } else if (result.kind === 'quiet' && result.position !== undefined) {
      progress.positions.set(task, result.position)
    }
    return 'goes on'
  }
}

/** Where a task's rows end, as an offset. */
export function nextOffset(progress: StreamProgress, task: string): number {
  return parseKinesisPosition(progress.positions.get(task)!).offset
}
