import type { AvroType } from '../avro/schema-model.ts'
import { historyOffset, historyPosition } from '../checkpoint/history-position.ts'
import { type Field } from '../columns/column-type.ts'
import type {
  GroupOffset,
  ObjectStore,
  PartitionReader,
  ReadResult,
  Source,
  SourcePartition,
  TableDecoder,
} from '../ports.ts'
import { type IncarnationHistory, readHistoryList } from './history.ts'
import { HistoryFiles } from './history-files.ts'

export interface HistorySourceOptions {
  readonly source: Source
  readonly history: IncarnationHistory
  readonly store: ObjectStore
  readonly decoder: TableDecoder
  readonly pipeline: string
  /** The program's own, and its columns. */
  readonly schema: AvroType
  readonly fields: readonly Field[]
}

/**
 * A source with the history of its partitions before it: each reader gives first what bronze and the dead letters have, then goes on in the source where
 * the incarnation before had come to. Positions within the history are its own, so that it can be left and entered anywhere.
 */
export class HistorySource implements Source {
  readonly #options: HistorySourceOptions

  constructor(options: HistorySourceOptions) {
    this.#options = options
  }

  get description(): string {
    return this.#options.source.description
  }

  get isBacklog(): boolean {
    return this.#options.source.isBacklog === true
  }

  partitions(): Promise<readonly SourcePartition[]> {
    return this.#options.source.partitions()
  }

  async open(
    partition: SourcePartition,
    position: string | null,
    parentPositions?: readonly string[],
  ): Promise<PartitionReader> {
    const { source, history, store, decoder, pipeline, schema, fields } = this.#options
    const then = history.positions[partition.id]
    const from = position === null ? 0 : historyOffset(position)
    if (then === undefined || from === null) return source.open(partition, position, parentPositions)
    const files = new HistoryFiles({
      store,
      decoder,
      pipeline,
      schema,
      fields,
      tables: new Set(history.tables),
      partition,
      files: await readHistoryList({ store, pipeline, history }, partition.id),
      from,
    })
    return new HistoryReader(files, position === null ? historyPosition(0) : undefined, () =>
      source.open(partition, then),
    )
  }

  /** The group goes on to show how far the incarnation before was published. */
  groupOffset(partition: SourcePartition, position: string): GroupOffset | null {
    if (historyOffset(position) !== null) return null
    return this.#options.source.groupOffset?.(partition, position) ?? null
  }

  offsetOf(position: string): string | null {
    return this.#options.source.offsetOf?.(position) ?? null
  }

  showPublished(offset: GroupOffset): void {
    this.#options.source.showPublished?.(offset)
  }

  close(): Promise<void> {
    return this.#options.source.close()
  }
}

class HistoryReader implements PartitionReader {
  /** Recorded before anything is read, also where there is no history: the source goes on elsewhere than at its beginning. */
  readonly start: string | undefined
  readonly #files: HistoryFiles
  readonly #openSource: () => Promise<PartitionReader>
  #source: PartitionReader | null = null

  constructor(files: HistoryFiles, start: string | undefined, openSource: () => Promise<PartitionReader>) {
    this.#files = files
    this.start = start
    this.#openSource = openSource
  }

  async read(recordsMax: number): Promise<ReadResult> {
    if (this.#source === null) {
      const batch = await this.#files.next(recordsMax)
      if (batch !== null) return { kind: 'records', batch }
      this.#source = await this.#openSource()
    }
    return this.#source.read(recordsMax)
  }

  async close(): Promise<void> {
    await this.#source?.close()
  }
}
