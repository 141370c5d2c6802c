import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import type { Terminal } from './terminal.ts'

/** Where `millrace produce` sends the records of a recording. */
export interface SendTarget {
  /** For the summary: 'orders at localhost:9092'. */
  readonly description: string
  /**
   * Called once, before the rest: makes it where that is asked for, and finds out whether it takes the records. `partitions` is the highest partition of
   * the recording, and one.
   */
  open(partitions: number, terminal: Terminal): Promise<void>
  /** Resolves when there is room for more. */
  ready(): Promise<void>
  /** Resolves when it is stored. */
  send(record: RawRecord): Promise<unknown>
  /** Resolves when all that was sent is stored, or has failed. */
  flush(): Promise<void>
  /** For the line of progress, beside the count; '' for nothing. */
  progress(): string
  /** Behind the summary: what the target had to do, or could not keep. */
  report(terminal: Terminal): Promise<void>
  close(): Promise<void>
}
