import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { folderWith, runNode } from './run-cli.ts'

const GOOD = `
import { bronze, pipeline, stream, avroSchema } from 'millrace'
const Trip = avroSchema({ type: 'record', name: 'Trip', fields: [{ name: 'id', type: 'string' }] })
export default pipeline({ name: 'taxi', tables: [bronze('trips', stream('trips', Trip))] })
`

interface Loaded {
  readonly code: string
  readonly message: string
  readonly advice?: string
}

/** Loads files of a project, all in one process that stands in its folder. */
async function load(files: Readonly<Record<string, string>>, paths: readonly string[]) {
  const cwd = folderWith({ 'package.json': '{"type":"module"}', ...files })
  const script = fileURLToPath(new URL('./load-programs.ts', import.meta.url))
  const { out, err } = await runNode([script, ...paths], { cwd })
  return { results: JSON.parse(out) as Readonly<Record<string, Loaded>>, err, cwd }
}

test('loads a program with types, in a package of any kind that can hold it', async () => {
  const files = {
    'taxi.ts': GOOD,
    'taxi.mjs': GOOD,
    'untyped/package.json': '{}',
    'untyped/taxi.ts': GOOD,
    'commonjs/package.json': '{"type":"commonjs"}',
    'commonjs/taxi.mts': GOOD,
    'with space/täxi.ts': GOOD,
  }
  const paths = ['taxi.ts', 'taxi.mjs', 'untyped/taxi.ts', 'commonjs/taxi.mts', 'with space/täxi.ts']
  const { results, err } = await load(files, paths)
  for (const path of paths) expect(results[path], path).toEqual({ code: 'LOADED', message: 'taxi' })
  expect(err).toBe('')
})

test('starts nothing where the file runs its pipeline', async () => {
  const main = `
import { bronze, pipeline, stream, avroSchema, run } from 'millrace'
import { writeFileSync } from 'node:fs'
const Trip = avroSchema({ type: 'record', name: 'Trip', fields: [{ name: 'id', type: 'string' }] })
const taxi = pipeline({ name: 'taxi', tables: [bronze('trips', stream('trips', Trip))] })
const open = () => writeFileSync('opened', '')
await run(taxi, { source: { open }, lake: {} } as never)
export default taxi
`
  const { results, cwd } = await load({ 'main.ts': main, 'taxi.ts': GOOD }, ['main.ts', 'taxi.ts'])
  expect(results['main.ts']).toMatchObject({
    code: 'PROGRAM_RUNS',
    advice: expect.stringContaining('millrace run'),
  })
  expect(results['taxi.ts']).toEqual({ code: 'LOADED', message: 'taxi' })
  expect(existsSync(join(cwd, 'opened'))).toBe(false)
})

test('answers each trap of running TypeScript as it is with what to do', async () => {
  const traps: Readonly<
    Record<string, readonly [source: string, code: string, message: RegExp, advice: RegExp]>
  > = {
    'enum.ts': [
      'enum A { B }\nexport default A',
      'PROGRAM_UNSUPPORTED_SYNTAX',
      /enum\.ts:1: TypeScript enum .*\n {4}enum A/,
      /as const/,
    ],
    'parameter.ts': [
      'class A { constructor(private a: 1) {} }\nexport default A',
      'PROGRAM_UNSUPPORTED_SYNTAX',
      /parameter property/,
      /Declare the field/,
    ],
    'namespace.ts': [
      'namespace A { export const b = 1 }\nexport default A',
      'PROGRAM_UNSUPPORTED_SYNTAX',
      /namespace/,
      /ES modules/,
    ],
    'through.ts': [
      "import A from './enum.ts'\nexport default A",
      'PROGRAM_UNSUPPORTED_SYNTAX',
      /enum\.ts:1/,
      /as const/,
    ],
    'js-import.ts': [
      "import { a } from './there.js'\nexport default a",
      'PROGRAM_IMPORT_NOT_FOUND',
      /js-import\.ts imports .*there\.js/,
      /there\.ts/,
    ],
    'no-extension.ts': [
      "import { a } from './there'\nexport default a",
      'PROGRAM_IMPORT_NOT_FOUND',
      /imports .*there,/,
      /there\.ts/,
    ],
    'folder.ts': [
      "import a from './sub'\nexport default a",
      'PROGRAM_IMPORT_NOT_FOUND',
      /folder .*sub/,
      /index\.ts/,
    ],
    'type.ts': [
      "import { T } from './there.ts'\nexport default 1 as T",
      'PROGRAM_IMPORT_NAME',
      /no export named 'T'/,
      /import \{ type T \}/,
    ],
    'json.ts': [
      "import a from './a.json'\nexport default a",
      'PROGRAM_IMPORT_ATTRIBUTE',
      /a\.json/,
      /with \{ type: 'json' \}/,
    ],
    'missing-package.ts': [
      "import a from 'left-pad-9'\nexport default a",
      'PROGRAM_IMPORT_NOT_FOUND',
      /'left-pad-9'/,
      /npm install left-pad-9/,
    ],
    'alias.ts': ["import a from '@/a.ts'\nexport default a", 'PROGRAM_IMPORT_NOT_FOUND', /'@\//, /tsconfig/],
    'subpath.ts': [
      "import a from 'millrace/engine'\nexport default a",
      'PROGRAM_MILLRACE_NOT_INSTALLED',
      /millrace/,
      /npm install millrace/,
    ],
    'syntax.ts': ['export default {\n  a: 1,,\n}', 'PROGRAM_SYNTAX', /syntax\.ts:2: [\s\S]*a: 1,,/, /syntax/],
    'require.ts': [
      "const fs = require('fs')\nexport default fs",
      'PROGRAM_THREW',
      /require is not defined[\s\S]*require\.ts:1/,
      /ES module/,
    ],
    'throws.ts': [
      "function boom() { throw new TypeError('kaput') }\nboom()",
      'PROGRAM_THREW',
      /TypeError: kaput\n {4}at boom \(throws\.ts:1:\d+\)\n {4}at throws\.ts:2:1$/,
      /Loading/,
    ],
    'nothing.ts': [
      'export const a = 1',
      'PROGRAM_NO_DEFAULT_EXPORT',
      /exports a$/,
      /export default pipeline/,
    ],
    'other.ts': [
      'export default { a: 1 }',
      'PROGRAM_NOT_A_PIPELINE',
      /an object with a/,
      /export default pipeline/,
    ],
    'commonjs/a.ts': [GOOD, 'PROGRAM_COMMONJS', /commonjs\/package\.json/, /"type": "module"/],
    'node_modules/x/a.ts': [GOOD, 'PROGRAM_IN_NODE_MODULES', /node_modules/, /millrace init/],
    'invalid.ts': [GOOD.replace("'taxi'", "''"), 'INVALID_NAME', /[\s\S]*invalid\.ts:4/, /./],
  }
  const helpers = {
    'there.ts': 'export const a = 1\nexport interface T {}',
    'sub/index.ts': 'export default 1',
    'a.json': '{}',
    'commonjs/package.json': '{"type":"commonjs"}',
    'readme.md': '',
  }
  const programs = Object.fromEntries(Object.entries(traps).map(([path, [source]]) => [path, source]))
  const others = ['gone.ts', 'there.js', 'sub', 'readme.md']
  const { results, err, cwd } = await load({ ...programs, ...helpers }, [...Object.keys(traps), ...others])
  for (const [path, [, code, message, advice]] of Object.entries(traps)) {
    const result = results[path]!
    expect(result.code, path).toBe(code)
    expect(result.message, path).toMatch(message)
    expect(result.message, path).not.toContain(cwd)
    expect(result.advice, path).toMatch(advice)
  }
  expect(results['gone.ts']).toMatchObject({ code: 'PROGRAM_NOT_FOUND' })
  expect(results['there.js']).toMatchObject({
    code: 'PROGRAM_NOT_FOUND',
    advice: expect.stringContaining('there.ts'),
  })
  expect(results['sub']).toMatchObject({ code: 'PROGRAM_NOT_FOUND' })
  expect(results['readme.md']).toMatchObject({ code: 'PROGRAM_NOT_A_MODULE' })
  expect(err).toBe('')
})
