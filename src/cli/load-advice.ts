import { existsSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../errors.ts'
import { InvalidProgramError } from './failure.ts'

/**
 * Puts what Node says about a program that does not load into words for the person who wrote it.
 * Each case below was met by a real first program; the shapes of the errors are those of Node 22.18 to 24.
 */
export function explainLoadFailure(error: unknown, program: string): InvalidProgramError {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
  // Thrown while the program was built: it says itself what is wrong, but not where.
  if (isPipelineError(error)) return withPlace(error)
  switch (code) {
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return unsupportedSyntax(error)
    case 'ERR_INVALID_TYPESCRIPT_SYNTAX':
      return problem(
        error,
        'PROGRAM_SYNTAX',
        `${whereOf(error)}${messageOf(error)}${excerptOf(error)}`,
        'Correct the syntax.',
      )
    case 'ERR_MODULE_NOT_FOUND':
      return notFound(error)
    case 'ERR_UNSUPPORTED_DIR_IMPORT':
      return problem(
        error,
        'PROGRAM_IMPORT_NOT_FOUND',
        `${importerOf(error)}imports the folder ${relativeTo(quoted(error)[0])}`,
        'Name the file, as in ./folder/index.ts.',
      )
    case 'ERR_IMPORT_ATTRIBUTE_MISSING':
      return problem(
        error,
        'PROGRAM_IMPORT_ATTRIBUTE',
        `a JSON file is imported without its type: ${relativeTo(urlIn(error))}`,
        "Write: import value from './file.json' with { type: 'json' }",
      )
    case 'ERR_PACKAGE_PATH_NOT_EXPORTED':
      return problem(
        error,
        'PROGRAM_IMPORT_NOT_FOUND',
        messageOf(error),
        "Millrace exports 'millrace' and 'millrace/testing'",
      )
    case 'ERR_REQUIRE_ESM':
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return problem(
        error,
        'PROGRAM_NOT_A_MODULE',
        messageOf(error),
        'A program and its imports are .ts, .mts, .js or .mjs.',
      )
    default:
      return error instanceof SyntaxError ? badSyntax(error) : threw(error, program)
  }
}

const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/enum/, "Write a constant and a type instead: const Colour = { red: 'red' } as const"],
  [/parameter property/, 'Declare the field and assign it in the constructor'],
  [/namespace|module/, 'Use ES modules (files with import and export) instead of a namespace'],
  [/import\s*=|import equals/i, "Write: import name from '…'"],
  [/export\s*=|export assignment/i, 'Write: export default …'],
]

/** Node removes types and compiles nothing, so the few TypeScript features that make code do not run. */
function unsupportedSyntax(error: unknown): InvalidProgramError {
  const what = messageOf(error).replace(/ is not supported in strip-only mode$/, '')
  const advice =
    INSTEAD.find(([pattern]) => pattern.test(what))?.[1] ?? 'Write it in plain JavaScript with types'
  return problem(
    error,
    'PROGRAM_UNSUPPORTED_SYNTAX',
    `${whereOf(error)}${what} cannot run: Node removes the types of a .ts file and compiles nothing${excerptOf(error)}`,
    `${advice}. "erasableSyntaxOnly": true in tsconfig.json finds the others.`,
  )
}

function notFound(error: unknown): InvalidProgramError {
  const [target] = quoted(error)
  const importer = importerOf(error)
  if (messageOf(error).startsWith('Cannot find package'))
    return packageNotFound(error, importer, target ?? '')
  const missing = target ?? ''
  const found = candidates(missing).find((path) => existsSync(path))
  return problem(
    error,
    'PROGRAM_IMPORT_NOT_FOUND',
    `${importer}imports ${relativeTo(missing)}, which does not exist`,
    found === undefined
      ? 'Check the path; it is written with its extension, as in ./file.ts.'
      : `Import ${relativeTo(found)}: Node looks for exactly the file that is named.`,
  )
}

/** What may have been meant by a path that does not exist. */
function candidates(missing: string): readonly string[] {
  const withoutJs = missing.replace(/\.(m?)js$/, '.$1ts')
  return [
    ...(withoutJs === missing ? [] : [withoutJs]),
    `${missing}.ts`,
    `${missing}.mts`,
    `${missing}.js`,
    join(missing, 'index.ts'),
  ]
}

function packageNotFound(error: unknown, importer: string, name: string): InvalidProgramError {
  if (name === 'millrace') {
    return problem(
      error,
      'PROGRAM_MILLRACE_NOT_INSTALLED',
      `${importer}imports 'millrace', which is not installed beside it`,
      'Run npm install millrace in the folder of the program; a global installation is not enough.',
    )
  }
  const alias = /^[@~#]?\//.test(name) || name === '@' || name === '~'
  return problem(
    error,
    'PROGRAM_IMPORT_NOT_FOUND',
    `${importer}imports the package '${name}', which is not installed`,
    alias
      ? 'Node does not read "paths" of tsconfig.json: import the file by its relative path.'
      : `Run npm install ${name}, or start a relative path with ./`,
  )
}

function badSyntax(error: SyntaxError): InvalidProgramError {
  const missing = /^The requested module '(.+)' does not provide an export named '(.+)'$/.exec(error.message)
  if (missing !== null) {
    const [, module, name] = missing
    return problem(
      error,
      'PROGRAM_IMPORT_NAME',
      `${whereOf(error)}'${module}' has no export named '${name}'`,
      `If ${name} is a type, write: import { type ${name} } from '${module}'. Otherwise check the name.`,
    )
  }
  return problem(
    error,
    'PROGRAM_SYNTAX',
    `${whereOf(error)}${error.message}${excerptOf(error)}`,
    /import statement outside a module|Unexpected token 'export'/.test(error.message)
      ? 'Set "type": "module" in the package.json that is nearest to this file.'
      : 'Correct the syntax.',
  )
}

/** The user's own code threw while it was loaded. */
function threw(error: unknown, program: string): InvalidProgramError {
  const message = messageOf(error)
  const frames = userFrames(error)
  const shown = frames.length === 0 ? '' : `\n${frames.join('\n')}`
  const name = error instanceof Error ? `${error.name}: ` : ''
  const commonJs = /(require|module|exports|__dirname|__filename) is not defined in ES module scope/.exec(
    message,
  )
  return problem(
    error,
    'PROGRAM_THREW',
    `${relativeTo(program)} failed while it was loaded: ${name}${message.split(', you can use')[0]}${shown}`,
    commonJs === null
      ? 'Loading a program only describes the pipeline. Correct the line above.'
      : 'A program is an ES module: use import, and import.meta.dirname for its folder.',
  )
}

function withPlace(error: {
  message: string
  code: string
  advice?: string | undefined
}): InvalidProgramError {
  const place = userFrames(error)[0]
  const message = place === undefined ? error.message : `${error.message}\n${place}`
  return problem(error, error.code, message, error.advice ?? '')
}

/** By name and not by class: the program may have another copy of the package than the command. */
function isPipelineError(error: unknown): error is { message: string; code: string; advice?: string } {
  return (
    error instanceof Error &&
    error.name === 'PipelineError' &&
    typeof (error as { code?: unknown }).code === 'string'
  )
}

function problem(cause: unknown, code: string, message: string, advice: string): InvalidProgramError {
  return new InvalidProgramError(code, message, advice === '' ? { cause } : { advice, cause })
}

const FRAMES_MAX = 4

/** The lines of a stack that are in the user's files: neither Node's nor those of an installed package or of Millrace. */
function userFrames(error: unknown): readonly string[] {
  const stack = (error as Error | null)?.stack ?? ''
  const own = fileURLToPath(new URL('../..', import.meta.url))
  return stack
    .split('\n')
    .filter((line) => /^\s+at .*file:\/\//.test(line))
    .map((line) => line.replace(/file:\/\/\/[^\s)]*?(?=(:\d+:\d+)?\)?$)/, (url) => fileURLToPath(url)))
    .filter((line) => !line.includes(`${sep}node_modules${sep}`) && !isOwn(line, own))
    .slice(0, FRAMES_MAX)
    .map((line) => `    ${line.trim().replaceAll(`${process.cwd()}${sep}`, '')}`)
}

/** The examples of a checkout are beside our sources, and are user's files all the same. */
function isOwn(line: string, own: string): boolean {
  return ['src', 'dist', 'bin', 'consumers', 'sinks', 'test'].some((folder) =>
    line.includes(join(own, folder) + sep),
  )
}

/** Node puts 'file:///…/program.ts:3' and the line of source above the stack of a syntax error. */
function whereOf(error: unknown): string {
  const [first = ''] = ((error as Error | null)?.stack ?? '').split('\n')
  const at = /^(?:file:\/\/)?(\/.*|[A-Za-z]:.*):(\d+)$/.exec(first)
  return at === null ? '' : `${relativeTo(decodeURI(at[1]!))}:${at[2]}: `
}

function excerptOf(error: unknown): string {
  const lines = ((error as Error | null)?.stack ?? '').split('\n')
  const caret = lines.findIndex((line) => /^\s*\^+\s*$/.test(line))
  if (caret < 1) return ''
  return `\n    ${lines[caret - 1]}\n    ${lines[caret]}`
}

function quoted(error: unknown): readonly string[] {
  return [...messageOf(error).matchAll(/'([^']+)'/g)].map((match) => match[1]!)
}

function importerOf(error: unknown): string {
  const importer = /imported from (.+)$/.exec(messageOf(error))?.[1]
  return importer === undefined ? 'the program ' : `${relativeTo(importer)} `
}

function urlIn(error: unknown): string | undefined {
  const url = /"(file:[^"]+)"/.exec(messageOf(error))?.[1]
  return url === undefined ? undefined : fileURLToPath(url)
}

function relativeTo(path: string | undefined): string {
  if (path === undefined) return 'a file'
  const from = relative(process.cwd(), path)
  const shown = from.startsWith(join('..', '..', '..')) ? path : from
  return shown.startsWith('.') || shown.startsWith(sep) || dirname(shown) !== '.' ? shown : `.${sep}${shown}`
}
