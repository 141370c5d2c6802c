import { runCommandLine } from './command-line.ts'
import { type ExitCode, reportFailure } from './failure.ts'
import { processTerminal } from './terminal.ts'

const ENDS_WITHIN_MS = 2_000

/** Runs one command and leaves its exit code to the process, which ends when nothing is left to do. */
export async function main(args: readonly string[]): Promise<void> {
  const debug = args.includes('--debug') || isOn(process.env['MILLRACE_DEBUG'])
  const terminal = processTerminal(process.env, debug)
  let code: ExitCode
  try {
    code = await runCommandLine(args, terminal)
  } catch (error) {
    code = await reportFailure(error, terminal)
    // What has failed may have requests on their way to a server that does not answer: nobody waits for those.
    setTimeout(() => process.exit(code), ENDS_WITHIN_MS).unref()
  }
  process.exitCode = code
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}
