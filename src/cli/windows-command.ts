import { type Command, command, type Options, type Run, textOf } from './command.ts'
import type { ExitCode } from './failure.ts'
import { KAFKA_HELP } from './kafka-place.ts'
import { LAKE_DEFAULT, LAKE_HELP, parseSpan, parseTime } from './option-values.ts'
import type { Terminal } from './terminal.ts'

const DETAILS = `A window is final when the watermark of its merge task has reached the window's end and the allowed lateness; that watermark is the lowest of
all partitions that are not idle. This shows which partition it is, since when, who owns it, and whether it is being read, quiet, silent or idle.
With the program also the oldest windows that are open, or with --end what a window that ends then waits for. With --brokers also what is unread.

${KAFKA_HELP}

Example:
  millrace windows taxi.ts --lake s3://lake/prod --brokers kafka:9092
  millrace windows taxi.ts --end 2024-03-01T12:00:00Z`

export function describeWindows(program: Command, terminal: Terminal, run: Run): void {
  command(program, 'windows [program]', 'why a window is still open', DETAILS)
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--brokers <list>', 'host:port, separated by commas')
    .option('--pipeline <name>', 'which one, where the lake has several')
    .option('--result <name>', 'only the windows of this aggregate of the program')
    .option('--end <time>', 'the windows that end at this time, ISO 8601')
    .option('--silent-after <time>', 'call a task silent that has recorded nothing for so long', '2m')
    .option('--json', 'as JSON')
    .action((path: string | undefined, options: Options) =>
      run(windowsCommand(path ?? null, options, terminal)),
    )
}

async function windowsCommand(path: string | null, options: Options, terminal: Terminal): Promise<ExitCode> {
  const end = textOf(options, 'end')
  const parsed = {
    path,
    lake: textOf(options, 'lake')!,
    brokers: textOf(options, 'brokers'),
    pipeline: textOf(options, 'pipeline'),
    result: textOf(options, 'result'),
    endMs: end === null ? null : parseTime('--end', end),
    silentAfterMs: parseSpan('--silent-after', textOf(options, 'silentAfter')!),
    isJson: options['json'] === true,
  }
  const { windows } = await import('./windows.ts')
  return windows(parsed, terminal)
}
