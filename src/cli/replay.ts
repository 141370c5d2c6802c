import { recording as recordingBinding } from '../../consumers/recording/index.ts'
import { recordingInfo } from '../../consumers/recording/recording-info.ts'
import { PipelineError } from '../errors.ts'
import type { Log } from '../ports.ts'
import type { RunProgress, RunSummary } from '../runtime/bindings.ts'
import { createLog, type LogLevel } from '../runtime/log.ts'
import { FLUSH_BYTES_MAX } from '../runtime/run.ts'
import { runPipeline } from '../runtime/run-pipeline.ts'
import { stopSignals } from '../runtime/stop-signals.ts'
import { processName, systemClock, systemEntropy } from '../runtime/system.ts'
import type { PipelineSpec } from '../topology/node.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { timeText } from './format.ts'
import { loadProgram } from './load-program.ts'
import { openLake, type OpenLake } from './open-lake.ts'
import { type ProgressDisplay, progressBar, progressLines } from './progress.ts'
import { recordingFor, registryFor } from './recording-place.ts'
import { printReplaySummary } from './replay-summary.ts'
import type { Terminal } from './terminal.ts'

export interface ReplayOptions {
  readonly path: string
  readonly recording: string | null
  readonly lake: string
  readonly registry: string | null
  readonly topic: string | null
  readonly speed: 'max' | number
  readonly untilMs: number | null
  readonly fresh: boolean
  readonly allowRemoved: boolean
  readonly flushRows: number
  readonly batchRecords: number
  readonly logLevel: LogLevel | null
}

const PROGRESS_LINE_EVERY_MS = 10_000

/** `millrace replay`: a recording through a pipeline into a lake. */
export async function replay(options: ReplayOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  try {
    return await replayInto(lake, options, terminal)
  } finally {
    await lake.close()
  }
}

async function replayInto(lake: OpenLake, options: ReplayOptions, terminal: Terminal): Promise<ExitCode> {
  const spec = await loadProgram(options.path)
  const recording = recordingFor(options.path, options.recording)
  const registry = registryFor(recording, options.registry)
  const display = await displayFor(recording, options, terminal)
  const stop = stopSignals(
    () =>
      display.line('Stopping: what was read is being recorded and published. Ctrl-C again exits at once.'),
    () => {
      display.stop()
      process.stderr.write(
        'Stopped at once. Nothing is lost: the same command continues from the last epoch.\n',
      )
    },
  )
  const { log } = display
  log.info({ pipeline: spec.name, recording, registry, lake: options.lake }, 'replay started')
  let summary: RunSummary
  try {
    summary = await run({ spec, recording, registry, lake, options, display, log, signal: stop.signal })
    const { outcome, runId, incarnation, records, epochs, durationMs } = summary
    log.info({ outcome, run: runId, incarnation, records, epochs, durationMs }, 'replay ended')
  } finally {
    stop.release()
    display.stop()
  }
  const asked = stop.exitCode() !== null
  await printReplaySummary({ spec, summary, recording, lake, options, asked }, terminal)
  if (summary.outcome === 'lost') {
    throw new PipelineError(
      'TAKEN_OVER',
      `another process has taken over the pipeline '${spec.name}' in ${options.lake}`,
      {
        advice: 'It goes on with the work. Run one replay at a time on a lake.',
      },
    )
  }
  return stop.exitCode() ?? EXIT.done
}

interface Run {
  readonly spec: PipelineSpec
  readonly recording: string
  readonly registry: string
  readonly lake: OpenLake
  readonly options: ReplayOptions
  readonly display: ProgressDisplay
  readonly log: Log
  readonly signal: AbortSignal
}

function run({ spec, recording, registry, lake, options, display, log, signal }: Run): Promise<RunSummary> {
  const { topic, untilMs, speed } = options
  const source = recordingBinding({
    path: recording,
    registry,
    speed,
    ...(topic === null ? {} : { topic }),
    ...(untilMs === null ? {} : { until: new Date(untilMs) }),
  })
  return runPipeline(spec, {
    source: source.open({ clock: systemClock, entropy: systemEntropy, log, acceptLoss: false }),
    registry: source.registry,
    owner: processName(),
    lake: lake.store,
    format: lake.format,
    clock: systemClock,
    entropy: systemEntropy,
    log,
    // Never by age: the epochs of a replay must not depend on the clock of the machine.
    flush: {
      rowsMax: options.flushRows,
      bytesMax: FLUSH_BYTES_MAX,
      everyMs: null,
      batchRecordsMax: options.batchRecords,
    },
    fresh: options.fresh,
    allowRemoved: options.allowRemoved,
    signal,
    onProgress: (progress) => display.update(progress),
  })
}

const monotonicMs = (): number => performance.now()

type ReplayDisplay = ProgressDisplay & { readonly log: Log }

/** In a terminal the bar is what tells how it goes, and the log only warns. Elsewhere the log tells all, as JSON lines. */
async function displayFor(
  recording: string,
  options: ReplayOptions,
  terminal: Terminal,
): Promise<ReplayDisplay> {
  const { err } = terminal
  if (!err.interactive) {
    const log = createLog({ level: options.logLevel ?? 'info', pretty: false })
    const write = {
      progress: (progress: RunProgress) => log.info(progressFields(progress), 'progress'),
      line: (text: string) => log.warn({}, text),
    }
    return { ...progressLines(PROGRESS_LINE_EVERY_MS, monotonicMs, write), log }
  }
  // Where reading stops early, nobody knows how many records that will be.
  const total = options.untilMs === null ? (await recordingInfo(recording)).records : null
  const bar = progressBar({ channel: err, total, nowMs: monotonicMs })
  const log = createLog({
    level: options.logLevel ?? 'warn',
    pretty: true,
    color: err.style('red', '') !== '',
    write: (line) => bar.line(line.trimEnd()),
  })
  return { ...bar, log }
}

function progressFields(progress: RunProgress): object {
  return { ...progress, watermark: timeText(progress.watermarkMs), watermarkMs: undefined }
}
