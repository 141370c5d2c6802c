import { AssertionError, messageOf, PipelineError } from '../errors.ts'
import type { Terminal } from './terminal.ts'

/** What a process of `millrace` ends with. docs/cli.md and `millrace --help` list them. */
export const EXIT = {
  done: 0,
  /** The world is wrong: disk, recording, SQL, a lake of somebody else. */
  failed: 1,
  /** The command line or the program is wrong: nothing was run. */
  usage: 2,
  /** The circuit breaker stopped the pipeline. */
  circuitBreaker: 3,
  /** Another process has taken the pipeline over. */
  takenOver: 4,
  /** `lag --max-lag`: the pipeline is further behind. */
  behind: 5,
  /** `describe --diff`: a run would refuse the program. */
  refused: 6,
  interrupted: 130,
  terminated: 143,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_CODES_HELP = `Exit codes:
  0    done
  1    failed: the brokers, the registry, the store, the disk, the recording, the lake, the SQL
  2    wrong option or invalid program; nothing was run
  3    stopped by the circuit breaker: too many records became dead letters
  4    another process has taken this pipeline over
  5    the pipeline is further behind than --max-lag
  6    describe --diff: a run would refuse the program
  130  interrupted (Ctrl-C); 143 terminated. What was read is published, unless there was a second Ctrl-C`

/** The program, not the world, is wrong, whichever part of Millrace found it out. */
export class InvalidProgramError extends PipelineError {}

/** A wrong option or argument. */
export function usageError(message: string, advice: string): PipelineError {
  return new PipelineError('USAGE', message, { advice })
}

/** Two lines on stderr: what is wrong, what to do. The stack only where it was asked for. */
export async function reportFailure(error: unknown, terminal: Terminal): Promise<ExitCode> {
  const { err } = terminal
  const { code, message, advice } = explained(error)
  await err.line(`${err.style('red', `error ${code}:`)} ${message}`)
  if (advice !== null) await err.line(`${err.style('cyan', '→')} ${advice}`)
  if (terminal.debug) await err.line(stackOf(error))
  return exitCodeOf(error)
}

function explained(error: unknown): { code: string; message: string; advice: string | null } {
  if (error instanceof PipelineError) {
    return { code: error.code, message: error.message, advice: error.advice ?? null }
  }
  const system = systemFailure(error)
  if (system !== null) return system
  return {
    code: error instanceof AssertionError ? 'ASSERTION' : 'INTERNAL',
    message: messageOf(error),
    advice:
      'This is a mistake in Millrace: nothing more was written. Please report it with the output of --debug.',
  }
}

const SYSTEM_ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Check who owns it and its permissions.',
  EPERM: 'Check who owns it and its permissions.',
  EROFS: 'The file system is mounted read-only: choose another folder.',
  ENOSPC: 'Free some space on the disk and run the command again: it continues where it stopped.',
  EDQUOT: 'The quota of this user is used up: free some space and run the command again.',
  ENOENT: 'Check the path.',
  ENOTDIR: 'A part of the path is a file, not a folder.',
  EISDIR: 'This is a folder, not a file.',
  EMFILE: 'Too many open files: raise the limit (ulimit -n).',
}

/** An error of the file system that nobody below has put into words. */
function systemFailure(error: unknown): { code: string; message: string; advice: string | null } | null {
  if (!(error instanceof Error)) return null
  const code = (error as NodeJS.ErrnoException).code
  if (code === undefined || (error as NodeJS.ErrnoException).syscall === undefined) return null
  return { code, message: error.message.replace(`${code}: `, ''), advice: SYSTEM_ADVICE[code] ?? null }
}

/** What the command line, the main file or what it gives to run() has wrong: nothing was run. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'USAGE',
  'OPTION_INVALID',
  'NOT_A_PIPELINE',
  'NOTHING_RUN',
  'TOPICS_UNBOUND',
])

export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof PipelineError)) return EXIT.failed
  if (error.code === 'CIRCUIT_OPEN') return EXIT.circuitBreaker
  if (error.code === 'TAKEN_OVER') return EXIT.takenOver
  return USAGE_CODES.has(error.code) || error instanceof InvalidProgramError ? EXIT.usage : EXIT.failed
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stack = error.stack ?? error.message
  return error.cause === undefined ? stack : `${stack}\ncaused by ${stackOf(error.cause)}`
}
