import { assert } from '../../src/errors.ts'
import type { Log, ObjectStore, TableDecoder, TableEncoder, TableFormat } from '../../src/ports.ts'
import { DeltaLog } from './delta-log.ts'

export interface DeltaFormatOptions {
  /** Reads what the encoder wrote. Needed for a start with --backfill. */
  readonly decoder?: TableDecoder
  /** Commits from one log checkpoint to the next, while the table has few files. Default 10, as Spark's. */
  readonly checkpointEvery?: number
  /** Told when a log checkpoint could not be written. */
  readonly log?: Log
  /** How long this process may have slept is read from here. Default: the system's clock. */
  readonly nowMs?: () => number
}

const CHECKPOINT_EVERY = 10

/** Delta Lake tables in a store. Log checkpoints are Parquet, so only an encoder of Parquet makes them. */
export function deltaFormat(
  store: ObjectStore,
  encoder: TableEncoder,
  options: DeltaFormatOptions = {},
): TableFormat {
  const { checkpointEvery = CHECKPOINT_EVERY, log = null, nowMs = Date.now, decoder } = options
  assert(Number.isInteger(checkpointEvery) && checkpointEvery > 0, 'checkpointEvery is a positive integer')
  return {
    encoder,
    ...(decoder === undefined ? {} : { decoder }),
    open: (shape) => new DeltaLog(shape, { store, encoder, checkpointEvery, log, nowMs }),
  }
}
