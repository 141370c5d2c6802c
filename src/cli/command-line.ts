import { Command, command, CommanderError, formatOf, type Options, type Run, textOf } from './command.ts'
import { LOG_LEVELS } from '../runtime/log.ts'
import { CACHE_BYTES_DEFAULT, CACHE_BYTES_HELP, CACHE_DIR_HELP, cacheOf } from './cache-options.ts'
import { EXIT, EXIT_CODES_HELP, type ExitCode, usageError } from './failure.ts'
import { LAKE_DEFAULT, LAKE_HELP, parseChoice, parseCount, parseSpeed, parseTime } from './option-values.ts'
import { describeCheck } from './check-command.ts'
import { describeDeadLetters } from './dead-letters-command.ts'
import { describeRecordings } from './recording-command.ts'
import { describeCheckpoints } from './checkpoints-command.ts'
import { describeLag } from './lag-command.ts'
import { ownPackage } from './own-package.ts'
import { describeStreams } from './stream-commands.ts'
import type { Terminal } from './terminal.ts'
import { describeWindows } from './windows-command.ts'

const HELP_WIDTH = 110
/** As in src/runtime/run.ts, which this file does not wait for: more rows do not fit the memory of one Parquet write. */
const FLUSH_ROWS_MAX = 250_000
const BATCH_RECORDS_MAX = 1_000_000
/**
 * Parses the arguments and runs the command they name. Each command's file is loaded when it is asked for: the
 * database and the Parquet writer are native code that `--help` does not wait for.
 * @throws PipelineError USAGE, and whatever the command throws.
 */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done
  const run = (command: Promise<ExitCode>) => command.then((code) => void (exitCode = code))
  const program = describeCommands(terminal, run)
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return EXIT.done
    if (error.code === 'commander.help') return EXIT.usage
    throw explain(error, program, args)
  }
  return exitCode
}

function describeCommands(terminal: Terminal, run: Run): Command {
  const program = new Command('millrace')
    .description('Avro events into bronze, silver and gold Delta tables, exactly once.')
    .version(ownPackage().version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .option('--debug', 'show the stack of an error')
    .addHelpText('after', `\n${EXIT_CODES_HELP}\n\nStart with: millrace init my-project`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.out.stream.write(text),
      writeErr: (text) => void terminal.err.stream.write(text),
      // Errors are reported like all others, by `reportFailure`.
      outputError: () => {},
      getOutHasColors: () => terminal.out.interactive,
      getOutHelpWidth: () => Math.min(terminal.out.width ?? HELP_WIDTH, HELP_WIDTH),
      getErrHelpWidth: () => Math.min(terminal.err.width ?? HELP_WIDTH, HELP_WIDTH),
    })

  command(
    program,
    'replay <program>',
    'run a pipeline over a recorded stream, into a lake',
    `What is read and published stays so: run it again and it continues, or says that there is nothing to do.
The first Ctrl-C finishes and publishes what was read; the second one exits at once, which loses nothing either.

Example:
  millrace replay taxi.ts --recording trips.avro --lake ./lake
  millrace replay taxi.ts --recording trips.avro --until 2024-03-01T12:00:00Z`,
  )
    .option('--recording <file>', 'the recorded stream (default: the only .avro file beside the program)')
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option(
      '--registry <dir>',
      'writer schemas, named <id>-….avsc (default: the folder registry beside the recording)',
    )
    .option('--topic <name>', 'the topic to read, where the recording has several')
    .option('--speed <speed>', 'max, or as it was recorded (1x), or faster (60x)', 'max')
    .option('--until <time>', 'stop before the first record that arrived at this time, ISO 8601')
    .option('--fresh', 'begin a new incarnation: read from the start and replace what the tables hold')
    .option(
      '--allow-removed',
      'drop the state of steps that the program no longer has, in place of refusing it',
    )
    .option('--flush-rows <n>', 'cut an epoch after so many rows', String(FLUSH_ROWS_MAX))
    .option('--batch-records <n>', 'records read at once', '8192')
    .option('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: warn in a terminal, else info)`)
    .action((path: string, options: Options) => run(replayCommand(path, options, terminal)))

  command(
    program,
    'run <main>',
    'run a pipeline where its main file says: Kafka, S3, topics',
    `The file calls run(pipeline, { source, lake, … }). Start it as often as you like: processes share the partitions of the source.
The first Ctrl-C, or SIGTERM, finishes and publishes what was read; the second one exits at once, which loses nothing either.

Example:
  millrace run main.ts`,
  )
    .option('--fresh', 'begin a new incarnation: read from the start and replace what the tables hold')
    .option(
      '--backfill',
      'for a changed program: a new incarnation that reads bronze, then goes on in the source',
    )
    .option(
      '--accept-loss',
      'where the source has deleted records that were not read yet, go on with those that are left',
    )
    .option(
      '--allow-removed',
      'drop the state of steps that the program no longer has, in place of refusing it',
    )
    .option('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: info)`)
    .action((path: string, options: Options) => run(runCommand(path, options, terminal)))

  command(
    program,
    'query <sql>',
    'ask the tables of a lake, in SQL (DuckDB)',
    `Tables are bronze.<table>, silver.<table>, gold.<table> and dead_letters. Times are UTC.

Example:
  millrace query "select * from gold.zone_minutes order by window_start limit 5"
  millrace query "select reason, count(*) from dead_letters group by all" --format csv`,
  )
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--format <format>', 'table, json or csv', 'table')
    .option('--limit <n>', 'rows that a table shows at most, 0 for all; json and csv always have all', '100')
    .option('--cache-dir <dir>', CACHE_DIR_HELP)
    .option('--cache-bytes <size>', CACHE_BYTES_HELP, CACHE_BYTES_DEFAULT)
    .action((sql: string, options: Options) => run(queryCommand(sql, options, terminal)))

  command(program, 'tables', 'list the tables of a lake')
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--columns', 'show the columns and their types')
    .option('--format <format>', 'table or json', 'table')
    .action((options: Options) => run(tablesCommand(options, terminal)))

  command(
    program,
    'describe <program>',
    'show what a pipeline does, as a plan',
    `With --diff: how it differs from the program that wrote a lake, and what a run would make of that. The exit code is then 6 where a run would
refuse it: a step was changed, or removed.

Example:
  millrace describe taxi.ts
  millrace describe taxi.ts --diff --lake ./lake`,
  )
    .option('--diff', 'compare it with the program that wrote the lake')
    .option('--lake <lake>', `with --diff: ${LAKE_HELP}`, LAKE_DEFAULT)
    .option('--json', 'with --diff: as JSON')
    .action((path: string, options: Options) => run(describeCommand(path, options, terminal)))

  describeCheck(program, terminal, run)
  describeLag(program, terminal, run)
  describeWindows(program, terminal, run)
  describeCheckpoints(program, terminal, run)
  describeRecordings(program, terminal, run)
  describeDeadLetters(program, terminal, run)
  describeStreams(program, terminal, run)

  const schema = program.command('schema').description('generate TypeScript from Avro schemas')
  command(schema, 'types <dir>', 'write a .ts file with the types beside each .avsc of a folder')
    .option('--check', 'write nothing; fail where a file is missing or stale')
    .action((dir: string, options: Options) =>
      run(
        import('./schema-types.ts').then(({ schemaTypes }) =>
          schemaTypes({ dir, check: options['check'] === true }, terminal),
        ),
      ),
    )

  command(program, 'init <dir>', 'make a new project: a program, its schema, a recording and a test').action(
    (dir: string) => run(import('./init.ts').then(({ init }) => init(dir, terminal))),
  )
  return program
}

async function replayCommand(path: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const until = textOf(options, 'until')
  const level = textOf(options, 'logLevel')
  const parsed = {
    path,
    recording: textOf(options, 'recording'),
    lake: textOf(options, 'lake')!,
    registry: textOf(options, 'registry'),
    topic: textOf(options, 'topic'),
    speed: parseSpeed(textOf(options, 'speed')!),
    untilMs: until === null ? null : parseTime('--until', until),
    fresh: options['fresh'] === true,
    allowRemoved: options['allowRemoved'] === true,
    flushRows: parseCount('--flush-rows', textOf(options, 'flushRows')!, { max: FLUSH_ROWS_MAX }),
    batchRecords: parseCount('--batch-records', textOf(options, 'batchRecords')!, { max: BATCH_RECORDS_MAX }),
    logLevel: level === null ? null : parseChoice('--log-level', level, LOG_LEVELS),
  }
  const { replay } = await import('./replay.ts')
  return replay(parsed, terminal)
}

async function runCommand(path: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const { runMain } = await import('./run.ts')
  const level = textOf(options, 'logLevel')
  const logLevel = level === null ? null : parseChoice('--log-level', level, LOG_LEVELS)
  const asked = (name: string): boolean => options[name] === true
  const [fresh, backfill] = [asked('fresh'), asked('backfill')]
  const [acceptLoss, allowRemoved] = [asked('acceptLoss'), asked('allowRemoved')]
  return runMain({ path, fresh, backfill, acceptLoss, allowRemoved, logLevel }, terminal)
}

async function describeCommand(path: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const { describe, describeDiff } = await import('./describe.ts')
  if (options['diff'] !== true) return describe(path, terminal)
  return describeDiff({ path, lake: textOf(options, 'lake')!, isJson: options['json'] === true }, terminal)
}

async function queryCommand(sql: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const format = formatOf(options, ['table', 'json', 'csv'])
  const limit = parseCount('--limit', textOf(options, 'limit')!, { min: 0 })
  const { query } = await import('./query.ts')
  return query({ sql, lake: textOf(options, 'lake')!, cache: cacheOf(options), format, limit }, terminal)
}

async function tablesCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const format = formatOf(options, ['table', 'json'])
  const { tables } = await import('./tables.ts')
  return tables({ lake: textOf(options, 'lake')!, columns: options['columns'] === true, format }, terminal)
}

/** Commander's message without its prefix, its suggestion as the advice, and where to read more. */
function explain(error: CommanderError, program: Command, args: readonly string[]) {
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n')
  let command = program
  const path = ['millrace']
  for (const word of args) {
    const found = command.commands.find((candidate) => candidate.name() === word)
    if (found === undefined) break
    command = found
    path.push(word)
  }
  const help = `${path.join(' ')} --help`
  return usageError(
    first,
    suggestion === undefined ? `See ${help}.` : `${suggestion.replaceAll(/^\(|\)$/g, '')} Or see ${help}.`,
  )
}
