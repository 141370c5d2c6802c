import { existsSync, statSync } from 'node:fs'
import { extname, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ONLY_LOADED } from '../runtime/ran.ts'
import type { PipelineSpec } from '../topology/node.ts'
import { isPipeline } from '../topology/pipeline.ts'
import { InvalidProgramError } from './failure.ts'
import { explainLoadFailure } from './load-advice.ts'
import { nearestPackage } from './nearest-package.ts'

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs']

/**
 * Loads the user's program and returns the pipeline that is its default export. TypeScript runs by Node's type
 * stripping: nothing is compiled and nothing is checked. A file that calls run() starts nothing by that.
 * @throws InvalidProgramError with advice for each trap that is known.
 */
export async function loadProgram(path: string): Promise<PipelineSpec> {
  const process = globalThis as { [ONLY_LOADED]?: boolean }
  process[ONLY_LOADED] = true
  try {
    return pipelineOf(await loadModule(path), path)
  } finally {
    delete process[ONLY_LOADED]
  }
}

/** Loads a file of the user and waits until it has run. */
export async function loadModule(path: string): Promise<{ readonly default?: unknown }> {
  const file = resolve(path)
  checkFile(file, path)
  checkModule(file)
  const restoreWarnings = muteTypeStrippingWarnings()
  try {
    return (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
  } catch (error) {
    throw explainLoadFailure(error, file)
  } finally {
    restoreWarnings()
  }
}

function checkFile(file: string, path: string): void {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats === undefined) {
    const asTypeScript = file.replace(/\.m?js$/, '.ts')
    const meant = [asTypeScript, `${file}.ts`].find(
      (candidate) => candidate !== file && existsSync(candidate),
    )
    throw new InvalidProgramError('PROGRAM_NOT_FOUND', `there is no file ${path}`, {
      advice:
        meant === undefined
          ? 'Check the path of the program.'
          : `Did you mean ${relative(process.cwd(), meant)}?`,
    })
  }
  if (stats.isDirectory()) {
    throw new InvalidProgramError('PROGRAM_NOT_FOUND', `${path} is a folder`, {
      advice: 'Name the file whose default export is the pipeline.',
    })
  }
  if (!EXTENSIONS.includes(extname(file))) {
    throw new InvalidProgramError(
      'PROGRAM_NOT_A_MODULE',
      `${path} is not a TypeScript or JavaScript module`,
      {
        advice: `A program ends in ${EXTENSIONS.join(', ')}.`,
      },
    )
  }
  if (file.endsWith('ts') && /[\\/]node_modules[\\/]/.test(file)) {
    throw new InvalidProgramError(
      'PROGRAM_IN_NODE_MODULES',
      `${path} is inside node_modules, where Node runs no TypeScript`,
      {
        advice: 'Copy the program out of node_modules. `millrace init` makes a project of your own.',
      },
    )
  }
}

/** A `.ts` or `.js` file is what its package.json says: an explicit "commonjs" refuses `import` in it. */
function checkModule(file: string): void {
  if (!/\.[tj]s$/.test(file)) return
  const nearest = nearestPackage(file)
  if (nearest === null || nearest.type !== 'commonjs') return
  throw new InvalidProgramError(
    'PROGRAM_COMMONJS',
    `${relative(process.cwd(), nearest.path)} says "type": "commonjs"`,
    {
      advice: 'A program is an ES module: change it to "type": "module", or name the program .mts.',
    },
  )
}

/** Node 22 calls type stripping experimental, once per process. Other warnings are shown as ever. */
function muteTypeStrippingWarnings(): () => void {
  const emitWarning = process.emitWarning.bind(process)
  const muted = (warning: string | Error, ...rest: unknown[]): void => {
    const text = typeof warning === 'string' ? warning : warning.message
    if (/type stripping/i.test(text)) return
    // Says that a package.json without "type" makes Node parse a file twice, which no user notices.
    if (/is not specified and it doesn't parse as CommonJS/.test(text)) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }
  process.emitWarning = muted
  return () => {
    process.emitWarning = emitWarning
  }
}

const EXPORT_ADVICE = "End the file with: export default pipeline({ name: '…', tables: […] })"

function pipelineOf(module: { readonly default?: unknown }, path: string): PipelineSpec {
  const value = module.default
  if (value === undefined) {
    const names = Object.keys(module)
    const exported = names.length === 0 ? 'it exports nothing' : `it exports ${names.join(', ')}`
    throw new InvalidProgramError('PROGRAM_NO_DEFAULT_EXPORT', `${path} has no default export: ${exported}`, {
      advice: EXPORT_ADVICE,
    })
  }
  if (!isPipeline(value)) {
    throw new InvalidProgramError(
      'PROGRAM_NOT_A_PIPELINE',
      `the default export of ${path} is ${describeValue(value)}, not a pipeline`,
      { advice: EXPORT_ADVICE },
    )
  }
  return value
}

function describeValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Promise) return 'a promise'
  if (typeof value === 'object') {
    const keys = Object.keys(value)
    return keys.length === 0 ? 'an object' : `an object with ${keys.slice(0, 4).join(', ')}`
  }
  return typeof value === 'function' ? 'a function' : `a ${typeof value}`
}
