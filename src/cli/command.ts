import { Command, CommanderError, Option } from 'commander'
import type { ExitCode } from './failure.ts'
import { parseChoice } from './option-values.ts'

/** The only file that imports commander. */
export { Command, CommanderError }

/** Takes a started command: its exit code becomes that of the process. */
export type Run = (command: Promise<ExitCode>) => Promise<void>

/** The values of a command's options as commander gives them: text, or true for a flag. */
export type Options = Readonly<Record<string, string | boolean | undefined>>

/** Adds a command to its parent; `details` stand below its options in its help. */
export function command(parent: Command, usage: string, description: string, details = ''): Command {
  const debug = new Option('--debug', 'show the stack of an error').hideHelp()
  const added = parent.command(usage).description(description).addOption(debug)
  return details === '' ? added : added.addHelpText('after', `\n${details}`)
}

export function formatOf<T extends string>(options: Options, formats: readonly T[]): T {
  return parseChoice('--format', textOf(options, 'format')!, formats)
}

/** Null where the option was not given. */
export function textOf(options: Options, name: string): string | null {
  const value = options[name]
  return typeof value === 'string' ? value : null
}
