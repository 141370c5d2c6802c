import { type Command, command, formatOf, type Options, type Run, textOf } from './command.ts'
import type { ExitCode } from './failure.ts'
import { LAKE_DEFAULT, LAKE_HELP, parseSpan } from './option-values.ts'
import type { Terminal } from './terminal.ts'

const FORMATS = ['table', 'json'] as const

export function describeCheckpoints(program: Command, terminal: Terminal, run: Run): void {
  const checkpoints = program.command('checkpoints').description('look at the epoch chains of a lake')
  command(
    checkpoints,
    'ls [pipeline]',
    'one line for each task: how far it is, and who has it',
    `Example:
  millrace checkpoints ls --lake s3://lake/prod`,
  )
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--all', 'incarnations that have been replaced, too')
    .option('--format <format>', 'table or json', 'table')
    .action((pipeline: string | undefined, options: Options) =>
      run(listCommand(pipeline ?? null, options, terminal)),
    )
  command(
    checkpoints,
    'show <pipeline> [task] [epoch]',
    'one record explained, or the records of a task',
    `Without an epoch the records of the task are listed. The epoch may be "last": the newest record of work.

Example:
  millrace checkpoints show orders orders-0 last
  millrace checkpoints show orders merge-0 41 --format json`,
  )
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--incarnation <n>', 'an earlier one (default: the newest)')
    .option('--format <format>', 'table or json', 'table')
    .action((pipeline: string, task: string | undefined, epoch: string | undefined, options: Options) =>
      run(showCommand({ pipeline, task: task ?? null, epoch: epoch ?? null }, options, terminal)),
    )
  command(
    checkpoints,
    'verify [pipeline]',
    'check that every chain can be gone on from',
    `Looks at every record, at every file that one names, and at the tables. The exit code is 1 where something is wrong.
Best while the pipeline stands still: what it writes meanwhile may look half done.

Example:
  millrace checkpoints verify --lake s3://lake/prod`,
  )
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--format <format>', 'table or json', 'table')
    .action((pipeline: string | undefined, options: Options) =>
      run(verifyCommand(pipeline ?? null, options, terminal)),
    )
  command(
    program,
    'vacuum',
    'delete files of a lake that nothing names any more',
    `Parquet files that no version of their table names within its retention, staged files of runs that were killed, and the state of incarnations that
have been replaced; all of them only when they are older than --older-than. Safe beside running pipelines.

Example:
  millrace vacuum --lake ./lake --dry-run`,
  )
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--older-than <days>', 'what is younger stays, whatever it is: 7d, 36h', '7d')
    .option('--dry-run', 'only say what would be deleted')
    .option('--format <format>', 'table or json', 'table')
    .action((options: Options) => run(vacuumCommand(options, terminal)))
}

async function listCommand(pipeline: string | null, options: Options, terminal: Terminal): Promise<ExitCode> {
  const parsed = { ...lakeAndFormat(options), pipeline, all: options['all'] === true }
  const { checkpointsList } = await import('./checkpoints-ls.ts')
  return checkpointsList(parsed, terminal)
}

async function showCommand(
  which: { readonly pipeline: string; readonly task: string | null; readonly epoch: string | null },
  options: Options,
  terminal: Terminal,
): Promise<ExitCode> {
  const parsed = { ...lakeAndFormat(options), ...which, incarnation: textOf(options, 'incarnation') }
  const { checkpointsShow } = await import('./checkpoints-show.ts')
  return checkpointsShow(parsed, terminal)
}

async function verifyCommand(
  pipeline: string | null,
  options: Options,
  terminal: Terminal,
): Promise<ExitCode> {
  const parsed = { ...lakeAndFormat(options), pipeline }
  const { checkpointsVerify } = await import('./checkpoints-verify.ts')
  return checkpointsVerify(parsed, terminal)
}

async function vacuumCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const olderThanMs = parseAge(textOf(options, 'olderThan')!)
  const parsed = { ...lakeAndFormat(options), olderThanMs, dryRun: options['dryRun'] === true }
  const { vacuum } = await import('./vacuum.ts')
  return vacuum(parsed, terminal)
}

function lakeAndFormat(options: Options) {
  return { lake: textOf(options, 'lake')!, format: formatOf(options, FORMATS) }
}

/** '7d', or a span of less than a day. */
function parseAge(text: string): number {
  const days = /^(\d+(?:\.\d+)?)\s*d$/i.exec(text)
  return days === null ? parseSpan('--older-than', text) : Number(days[1]) * 24 * 3_600_000
}
