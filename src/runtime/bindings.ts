import type { Totals } from '../engine/totals.ts'
import type {
  Clock,
  Entropy,
  Log,
  ObjectStore,
  Outbox,
  SchemaRegistry,
  Source,
  TableFormat,
} from '../ports.ts'
import type { SnapshotLimits } from './merge-snapshots.ts'
import type { RetentionLimits } from './retention.ts'

/** Everything a pipeline is bound to for one run: the same driver runs in production, a replay and the simulator. */
export interface RunBindings {
  readonly source: Source
  readonly registry: SchemaRegistry
  readonly lake: ObjectStore
  readonly format: TableFormat
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  readonly flush: FlushLimits
  /** The outside topics that the program writes to. Null or absent where it writes to none. */
  readonly outbox?: Outbox | null
  /** Where dead letters go in place of the lake's table. */
  readonly deadLetters?: { readonly outbox: Outbox; readonly topic: string } | null
  /** This process, for people who look at a chain: host and process id. */
  readonly owner?: string
  /** A graceful stop takes no longer: what is not recorded by then is read again by the next owner. Null: no limit. */
  readonly stopWithinMs?: number | null
  /** How many old checkpoint records are kept, and how many are deleted at once. */
  readonly retention?: Partial<RetentionLimits>
  /** How often the open windows of a merge are written, and how. */
  readonly snapshots?: Partial<SnapshotLimits>
  /** Begin a new incarnation: the old one is sealed and its files leave the tables. */
  readonly fresh: boolean
  /**
   * Begin a new incarnation whose history is what the old one has in bronze, unless the newest one began with this very program. Absent: false.
   */
  readonly backfill?: boolean
  /** Steps that the program has no longer are dropped. Absent: the program is refused then. */
  readonly allowRemoved?: boolean
  /** A graceful stop: what is open is cut, recorded and published. */
  readonly signal: AbortSignal | null
  readonly onProgress: ((progress: RunProgress) => void) | null
}

/**
 * An epoch is cut when any of these is reached. Rows and bytes count over all partitions of the process: then one of the fuller ones
 * is cut, so that memory does not grow with their number.
 */
export interface FlushLimits {
  readonly rowsMax: number
  /** Of raw records. */
  readonly bytesMax: number
  /** Age of the epoch by the clock; null in a replay, whose cuts must not depend on the wall clock. */
  readonly everyMs: number | null
  /** Records that one read of the source may return. */
  readonly batchRecordsMax: number
}

export interface RunProgress {
  /** Records read in this run. */
  readonly records: number
  /** Records of earlier runs, which this one does not read again. */
  readonly recordsBefore: number
  /** The lowest watermark of the partitions that are not idle; -Infinity before the first record. */
  readonly watermarkMs: number
  /** Dead letters of this run. */
  readonly deadLetters: number
}

export interface RunSummary {
  /**
   * completed: the source has ended and everything is published. nothing-to-do: that was so before the run, which
   * changed nothing. stopped: asked to stop (a signal, --until), with everything read so far published. lost: another owner took over.
   */
  readonly outcome: 'completed' | 'nothing-to-do' | 'stopped' | 'lost'
  readonly runId: string
  readonly incarnation: number
  /** Records read in this run. */
  readonly records: number
  /** Epochs recorded in this run. */
  readonly epochs: number
  readonly durationMs: number
  /** Counts since the incarnation began, over all tasks. */
  readonly totals: Totals
  readonly tables: readonly TableSummary[]
}

export interface TableSummary {
  readonly path: string
  readonly rows: number
  readonly files: number
  readonly rowsAdded: number
  readonly filesAdded: number
}
