import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { type OwnPackage, ownPackage } from './own-package.ts'
import type { Terminal } from './terminal.ts'

/** The first program with its schema, recording and test: an example of this repository, tested with it. */
const STARTER = join('examples', 'starter')

/** `millrace init`: a new project that runs after `npm install`. Refuses a folder that has anything in it. */
export async function init(dir: string, { out }: Terminal): Promise<ExitCode> {
  const target = resolve(dir)
  checkEmpty(target, dir)
  const own = ownPackage()
  mkdirSync(target, { recursive: true })
  cpSync(join(own.root, STARTER), target, { recursive: true })
  const generated: Readonly<Record<string, string>> = {
    'package.json': json(packageJson(target, own)),
    'tsconfig.json': json(TSCONFIG),
    // Not copied: npm leaves a .gitignore out of packages.
    '.gitignore': 'node_modules/\nlake/\n',
  }
  for (const [name, text] of Object.entries(generated)) writeFileSync(join(target, name), text)
  await out.line(`Made ${relative('.', target) || '.'}:\n`)
  for (const [name, what] of CONTENTS) await out.line(`  ${name.padEnd(24)}${out.style('dim', what)}`)
  await out.line('\nNext:\n')
  if (target !== process.cwd()) await out.line(`  cd ${relative('.', target)}`)
  await out.line('  npm install')
  await out.line(`  npm start             ${out.style('dim', '# replay the recording into ./lake')}`)
  await out.line(
    `  npm test              ${out.style('dim', '# the same in memory, compared with a golden file')}`,
  )
  return EXIT.done
}

const CONTENTS = [
  ['orders.ts', 'the program: what becomes of the orders of a café'],
  ['schemas/', 'its Avro schema, and the types made from it'],
  ['recordings/', 'two hours of orders, as a broker would have held them'],
  ['test/', 'a test that replays them in memory'],
  ['README.md', 'what to try, and what to change'],
] as const

function checkEmpty(target: string, dir: string): void {
  if (!existsSync(target)) return
  let names: readonly string[]
  try {
    names = readdirSync(target)
  } catch {
    throw usageError(`${dir} is not a folder`, 'Choose another name.')
  }
  if (names.length === 0) return
  throw usageError(
    `${dir} is not empty: it has ${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`,
    'Choose a new folder.',
  )
}

function packageJson(target: string, own: OwnPackage): object {
  const { devDependencies } = own
  const tools = ['@types/node', 'node', 'typescript', 'vitest']
  return {
    name: packageName(basename(target)),
    private: true,
    type: 'module',
    scripts: {
      start: 'millrace replay orders.ts --recording recordings/orders.avro --lake ./lake',
      test: 'vitest run',
      check: 'tsc && millrace check orders.ts --recording recordings/orders.avro',
      types: 'millrace schema types schemas',
      recording:
        'millrace recording make recordings/orders.avro --jsonl recordings/orders.jsonl ' +
        '--schema recordings/registry/1-order.avsc --topic orders --arrival arrivedAt --key shop --partitions 2',
    },
    dependencies: { millrace: dependencyOn(own, target) },
    // `node` is Node itself: a .ts file runs as it is from 22.18 on, whatever the machine has.
    devDependencies: Object.fromEntries(tools.map((name) => [name, devDependencies[name]])),
    allowScripts: { node: true },
  }
}

/** What npm takes for a name. */
function packageName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
  return name === '' ? 'my-pipeline' : name
}

/**
 * The version, as a registry knows it. Where we run from a checkout, or were installed from a file, there may be no
 * such version in a registry: then the project refers to the same place.
 */
function dependencyOn(own: OwnPackage, target: string): string {
  const host = hostOf(own.root)
  if (host === null) return fileSpec(target, own.root)
  const { dependencies = {}, devDependencies = {} } = readJson(join(host, 'package.json')) as {
    dependencies?: Record<string, string>
    devDependencies?: Record<string, string>
  }
  const spec = dependencies['millrace'] ?? devDependencies['millrace']
  return spec?.startsWith('file:') === true
    ? fileSpec(target, resolve(host, spec.slice('file:'.length)))
    : `^${own.version}`
}

/** The project that has us in its node_modules; null in a checkout. */
function hostOf(root: string): string | null {
  return basename(dirname(root)) === 'node_modules' ? dirname(dirname(root)) : null
}

function fileSpec(from: string, to: string): string {
  return `file:${relative(from, to).replaceAll(sep, '/')}`
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return {}
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    lib: ['es2024'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    // What Node can run: it removes types and compiles nothing.
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
  },
}
