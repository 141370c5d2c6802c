import { PipelineError } from '../errors.ts'
import type { LogLevel } from '../runtime/log.ts'
import { LOST, RAN } from '../runtime/ran.ts'
import { stopSignals } from '../runtime/stop-signals.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { loadModule } from './load-program.ts'
import type { Terminal } from './terminal.ts'

export interface RunCommandOptions {
  /** The file that calls `run()`. */
  readonly path: string
  readonly fresh: boolean
  readonly backfill: boolean
  readonly acceptLoss: boolean
  readonly allowRemoved: boolean
  readonly logLevel: LogLevel | null
}

/** `millrace run`: runs the user's own main file, which says where its pipeline reads and writes. */
export async function runMain(options: RunCommandOptions, terminal: Terminal): Promise<ExitCode> {
  // run() in the user's file asks for these, so that the file need not know this command.
  if (options.fresh) process.env['MILLRACE_FRESH'] = '1'
  if (options.backfill) process.env['MILLRACE_BACKFILL'] = '1'
  if (options.acceptLoss) process.env['MILLRACE_ACCEPT_LOSS'] = '1'
  if (options.allowRemoved) process.env['MILLRACE_ALLOW_REMOVED'] = '1'
  if (options.logLevel !== null) process.env['MILLRACE_LOG_LEVEL'] = options.logLevel
  const stop = stopSignals(
    () =>
      void terminal.err.line(
        'Stopping: what was read is being recorded and published. Ctrl-C again exits at once.',
      ),
    () =>
      process.stderr.write(
        'Stopped at once. Nothing is lost: the next start continues from the last epoch.\n',
      ),
  )
  try {
    await loadModule(options.path)
  } catch (error) {
    throw failureOf(error)
  } finally {
    stop.release()
  }
  if (runsOf() === 0) {
    throw new PipelineError('NOTHING_RUN', `${options.path} was loaded, and called no run()`, {
      advice:
        "Name the file that has `await run(pipeline, { source, lake })`. A file that only exports a pipeline is for 'millrace replay'.",
    })
  }
  if ((globalThis as { [LOST]?: boolean })[LOST] === true) {
    throw new PipelineError('TAKEN_OVER', `another process has taken over what ${options.path} ran`, {
      advice: 'It goes on with the work.',
    })
  }
  return stop.exitCode() ?? EXIT.done
}

/** What run() threw says itself what is wrong; what the loading threw has been put into words already. */
function failureOf(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined
  if (!(cause instanceof Error) || !(RAN in cause)) return error
  if (cause.name !== 'PipelineError') return cause
  // Of this copy's class, by which its exit code is told.
  const { code, advice } = cause as Error as PipelineError
  return new PipelineError(code, cause.message, { cause, ...(advice === undefined ? {} : { advice }) })
}

/** Counted where every copy of this package can see it: the user's file may have its own. */
function runsOf(): number {
  return (globalThis as { [RAN]?: number })[RAN] ?? 0
}
