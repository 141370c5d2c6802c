import { PipelineError } from '../errors.ts'
import type { DeadLetterBinding, Lake, Log, OutboxBinding, SourceBinding, SourceWorld } from '../ports.ts'
import type { Duration } from '../topology/duration.ts'
import { isPipeline } from '../topology/pipeline.ts'
import type { PipelineSpec } from '../topology/node.ts'
import type { FlushLimits, RunProgress, RunSummary } from './bindings.ts'
import { createLog, LOG_LEVELS, type LogLevel } from './log.ts'
import { progressLog } from './progress-log.ts'
import { countRun, isOnlyLoaded, markLost, markRan } from './ran.ts'
import { runPipeline } from './run-pipeline.ts'
import { stopSignals } from './stop-signals.ts'
import { processName, systemClock, systemEntropy } from './system.ts'

/** Where a pipeline runs. */
export interface RunOptions {
  readonly source: SourceBinding
  readonly lake: Lake
  /** Where the topics are that the program names: `kafkaTopics({ … })`. Needed where it names any. */
  readonly topics?: OutboxBinding
  /** Where dead letters go: `deadLetterTopic({ … })`. Default: the lake's table `dead_letters`. */
  readonly deadLetters?: DeadLetterBinding
  /** When an epoch is cut, and so how fresh the tables are and how large their files. */
  readonly flush?: {
    /** Default: 30 seconds. A replay has no such limit, so that its epochs do not depend on the machine. */
    readonly every?: Duration
    /** Default: 250,000. */
    readonly maxRows?: number
    /** Of raw records. Default: 128 MiB. */
    readonly maxBytes?: number
  }
  /** Begin again from the start of the source: what the pipeline wrote so far leaves the tables. Default: false. */
  readonly fresh?: boolean
  /**
   * Where the program is another than the one that the newest incarnation began with: begin a new one that reads first what bronze has, then goes on in the source where
   * the old one had come to. Bronze keeps its rows, everything else is built anew. Default: false.
   */
  readonly backfill?: boolean
  /** Steps and tables that the program no longer has are dropped; what their tables hold stays. Default: false, which refuses such a program. */
  readonly allowRemoved?: boolean
  /**
   * Where the source has deleted records that were not read yet, go on with those that are left; how many are lost is logged.
   * Default: false, which refuses to start.
   */
  readonly acceptLoss?: boolean
  /** How long a graceful stop may take; what is not published by then is published by the next start. Default: 30 seconds. */
  readonly stopWithin?: Duration
  /** Aborting cuts, records and publishes what has been read. Default: SIGINT and SIGTERM. */
  readonly signal?: AbortSignal
  /** Default: JSON lines on standard error, or lines for a person where that is a terminal, from MILLRACE_LOG_LEVEL ('info') on. */
  readonly log?: Log
  readonly onProgress?: (progress: RunProgress) => void
}

/** Of raw records, in one epoch: what keeps memory bounded when records are large. */
export const FLUSH_BYTES_MAX = 128 * 1024 * 1024
/** More would not fit the memory of one Parquet write, which is never given back. */
export const FLUSH_ROWS_MAX = 250_000
export const FLUSH_EVERY_MS = 30_000
export const BATCH_RECORDS_MAX = 8_192
export const STOP_WITHIN_MS = 30_000

/**
 * Runs a pipeline until its source ends or it is asked to stop. What was recorded by then is in the tables, exactly once; the next
 * start goes on from there.
 *
 * Throws PipelineError: `code` says what it was, `advice` what to do about it.
 *
 * @example
 * await run(taxi, { source: recording({ path: 'trips.avro' }), lake: directory('./lake') })
 */
export async function run(pipeline: PipelineSpec, options: RunOptions): Promise<RunSummary> {
  if (!isPipeline(pipeline)) {
    throw new PipelineError('NOT_A_PIPELINE', 'run was given something that is not a pipeline', {
      advice: 'Give it what pipeline({ … }) returned.',
    })
  }
  refuseLooking()
  countRun()
  refuseUnbound(pipeline, options)
  const { source, lake, topics, deadLetters, onProgress } = options
  const { fresh = isSet('MILLRACE_FRESH'), acceptLoss = isSet('MILLRACE_ACCEPT_LOSS') } = options
  const { allowRemoved = isSet('MILLRACE_ALLOW_REMOVED'), backfill = isSet('MILLRACE_BACKFILL') } = options
  refuseBoth(fresh, backfill)
  const stopWithinMs = options.stopWithin ?? STOP_WITHIN_MS
  const log = options.log ?? createLog({ level: logLevel(), pretty: process.stderr.isTTY })
  const stop = options.signal === undefined ? stopSignals() : { signal: options.signal, release: () => {} }
  const logProgress = progressLog(log.child({ pipeline: pipeline.name }), systemClock)
  const world: SourceWorld = { clock: systemClock, entropy: systemEntropy, log, acceptLoss }
  try {
    const input = source.open(world)
    const owner = processName()
    log.info(
      {
        pipeline: pipeline.name,
        source: input.description,
        ...(input.membership === undefined ? {} : { member: input.membership.description }),
        lake: lake.store.description,
        ...(deadLetters === undefined ? {} : { deadLetters: deadLetters.topic }),
        ...(pipeline.topics === undefined ? {} : { topics: pipeline.topics.map(({ name }) => name) }),
        owner,
      },
      'run started',
    )
    const summary = await runPipeline(pipeline, {
      source: input,
      registry: source.registry,
      lake: lake.store,
      format: lake.format,
      clock: systemClock,
      entropy: systemEntropy,
      log,
      flush: flushLimits(options),
      fresh,
      backfill,
      allowRemoved,
      outbox: topics?.open(world) ?? null,
      deadLetters:
        deadLetters === undefined ? null : { outbox: deadLetters.open(world), topic: deadLetters.topic },
      owner,
      stopWithinMs,
      signal: stop.signal,
      onProgress(progress) {
        logProgress(progress)
        onProgress?.(progress)
      },
    })
    logEnd(log, pipeline.name, summary)
    if (summary.outcome === 'lost') markLost()
    return summary
  } catch (error) {
    markRan(error)
    throw error
  } finally {
    stop.release()
  }
}

function logEnd(log: Log, pipeline: string, summary: RunSummary): void {
  const { outcome, incarnation, records, epochs, durationMs, tables } = summary
  const rowsAdded = Object.fromEntries(tables.map(({ path, rowsAdded: added }) => [path, added]))
  log.info({ pipeline, incarnation, outcome, records, epochs, durationMs, rowsAdded }, 'run ended')
}

/** `describe --diff` of a file that runs its pipeline would be the very start that it is to be asked about before. */
function refuseLooking(): void {
  if (!isOnlyLoaded()) return
  throw new PipelineError('PROGRAM_RUNS', 'the file calls run(), and was only to be looked at', {
    advice:
      'Name the file that has the pipeline as its default export. The one that calls run() is for millrace run.',
  })
}

/** Only a replay leaves topics out: there it says so. */
function refuseUnbound({ name, topics = [] }: PipelineSpec, options: RunOptions): void {
  if (topics.length === 0 || options.topics !== undefined) return
  const names = topics.map((topic) => topic.name).join(', ')
  throw new PipelineError(
    'TOPICS_UNBOUND',
    `pipeline ${name} writes to ${names}, and run() was not told where`,
    {
      advice: 'Give it topics: kafkaTopics({ brokers, registry }).',
    },
  )
}

function refuseBoth(fresh: boolean, backfill: boolean): void {
  if (!fresh || !backfill) return
  throw new PipelineError('OPTION_INVALID', 'a start is asked for with --fresh and with --backfill', {
    advice:
      'Choose one: --fresh reads everything from the source again, --backfill what bronze has, and then the source from where it was.',
  })
}

/** What `millrace run --fresh`, `--backfill`, `--accept-loss` and `--allow-removed` set for the program that they start. */
function isSet(variable: string): boolean {
  const value = process.env[variable] ?? ''
  return value !== '' && value !== '0' && value !== 'false'
}

/** What `millrace run --log-level` sets. */
function logLevel(): LogLevel {
  const name = process.env['MILLRACE_LOG_LEVEL'] ?? ''
  const level = name === '' ? 'info' : LOG_LEVELS.find((known) => known === name)
  if (level !== undefined) return level
  throw new PipelineError('OPTION_INVALID', `MILLRACE_LOG_LEVEL is ${JSON.stringify(name)}`, {
    advice: `It is one of ${LOG_LEVELS.join(', ')}.`,
  })
}

function flushLimits({ source, flush = {} }: RunOptions): FlushLimits {
  const { every = FLUSH_EVERY_MS, maxRows = FLUSH_ROWS_MAX, maxBytes = FLUSH_BYTES_MAX } = flush
  for (const [name, value] of Object.entries({ every, maxRows, maxBytes })) {
    if (Number.isFinite(value) && value > 0) continue
    throw new PipelineError('OPTION_INVALID', `flush.${name} is ${value}; it must be more than 0`, {
      advice: 'As in flush: { every: seconds(30), maxRows: 250_000 }.',
    })
  }
  if (maxRows > FLUSH_ROWS_MAX) {
    throw new PipelineError(
      'OPTION_INVALID',
      `flush.maxRows is ${maxRows}; at most ${FLUSH_ROWS_MAX} rows fit one epoch`,
      {
        advice:
          'Lower it: rows are counted over all partitions of a process, and an epoch is one Parquet write.',
      },
    )
  }
  return {
    rowsMax: maxRows,
    bytesMax: maxBytes,
    everyMs: source.isReplay ? null : every,
    batchRecordsMax: BATCH_RECORDS_MAX,
  }
}
