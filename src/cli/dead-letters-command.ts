import { CACHE_BYTES_DEFAULT, CACHE_BYTES_HELP, CACHE_DIR_HELP, cacheOf } from './cache-options.ts'
import { type Command, command, type Options, type Run, textOf } from './command.ts'
import { LAKE_DEFAULT, LAKE_HELP, parseCount } from './option-values.ts'
import type { Terminal } from './terminal.ts'

export function describeDeadLetters(program: Command, terminal: Terminal, run: Run): void {
  const letters = program.command('dead-letters').description('look at the records that went no further')
  command(letters, 'ls', 'count them by reason, and list them')
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--reason <reason>', 'only those with this reason')
    .option('--limit <n>', 'list so many, 0 for all', '20')
    .option('--cache-dir <dir>', CACHE_DIR_HELP)
    .option('--cache-bytes <size>', CACHE_BYTES_HELP, CACHE_BYTES_DEFAULT)
    .action((options: Options) =>
      run(
        import('./dead-letters.ts').then(({ deadLettersList }) =>
          deadLettersList(
            {
              lake: textOf(options, 'lake')!,
              cache: cacheOf(options),
              reason: textOf(options, 'reason'),
              limit: parseCount('--limit', textOf(options, 'limit')!, { min: 0 }),
            },
            terminal,
          ),
        ),
      ),
    )
  command(
    letters,
    'show <which>',
    'show one whole: bytes, headers, reason and stack',
    'It is named by its number in `dead-letters ls`, or by its position: <topic>/<partition>/<offset>.',
  )
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--save <file>', "write the record's original bytes to a file")
    .option('--cache-dir <dir>', CACHE_DIR_HELP)
    .option('--cache-bytes <size>', CACHE_BYTES_HELP, CACHE_BYTES_DEFAULT)
    .action((which: string, options: Options) =>
      run(
        import('./dead-letters.ts').then(({ deadLettersShow }) =>
          deadLettersShow(
            { which, lake: textOf(options, 'lake')!, cache: cacheOf(options), save: textOf(options, 'save') },
            terminal,
          ),
        ),
      ),
    )
}
