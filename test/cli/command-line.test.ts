import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parseCount, parseSpeed, parseTime } from '../../src/cli/option-values.ts'
import { folderWith, runCli, runNode } from './run-cli.ts'

describe('the command line', () => {
  test('without a command shows the commands and the exit codes, and fails', async () => {
    const { code, out, err } = await runCli([])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    for (const word of [
      'replay',
      'query',
      'tables',
      'describe',
      'check',
      'recording',
      'dead-letters',
      'schema',
      'init',
    ]) {
      expect(err).toContain(`  ${word} `)
    }
    expect(err).toMatch(/Exit codes:[\s\S]*3 {4}stopped by the circuit breaker/)
  })

  test('prints help and version to standard output', async () => {
    const [help, version] = await Promise.all([
      runCli(['recording', 'make', '--help']),
      runCli(['--version']),
    ])
    expect(help).toMatchObject({ code: 0, err: '', out: expect.stringContaining('--jsonl <file>') })
    expect(version.out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('says what is wrong and where to read more, in two lines', async () => {
    const wrong = [
      [['repaly'], "error USAGE: unknown command 'repaly'\n→ Did you mean replay? Or see millrace --help.\n"],
      [
        ['recording', 'make', 'x.avro'],
        /^error USAGE: required option .*\n→ See millrace recording make --help\.\n$/,
      ],
      [
        ['replay', 'x.ts', '--spede', '1x'],
        /^error USAGE: unknown option '--spede'\n→ Did you mean --speed\?.*\n$/,
      ],
      [['query', 'select 1', '--lake', '/does/not/exist'], /^error LAKE_NOT_FOUND: .*\n→ .*--lake.*\n$/],
    ] as const
    const results = await Promise.all(wrong.map(([args]) => runCli(args)))
    for (const [index, [args, expected]] of wrong.entries()) {
      const { code, out, err } = results[index]!
      if (typeof expected === 'string') expect(err).toBe(expected)
      else expect(err).toMatch(expected)
      expect({ code, out }, args.join(' ')).toEqual({ code: err.includes('LAKE_') ? 1 : 2, out: '' })
    }
  })

  test('shows the stack of an error only when asked', async () => {
    const { err } = await runCli(['tables', '--lake', '/does/not/exist', '--debug'])
    expect(err).toMatch(/PipelineError: .*\n\s+at /)
  })
})

describe('the values of options', () => {
  test('a time without a zone is UTC', () => {
    expect(parseTime('--until', '2024-03-01')).toBe(Date.UTC(2024, 2, 1))
    expect(parseTime('--until', '2024-03-01T12:30')).toBe(Date.UTC(2024, 2, 1, 12, 30))
    expect(parseTime('--until', '2024-03-01 12:30:00.25Z')).toBe(Date.UTC(2024, 2, 1, 12, 30, 0, 250))
    expect(parseTime('--until', '2024-03-01T12:30:00+0530')).toBe(Date.UTC(2024, 2, 1, 7, 0))
    for (const text of ['tomorrow', '2024-13-01', '2024-3-1', '1709251200000', '']) {
      expect(() => parseTime('--until', text), text).toThrow('is no time')
    }
  })

  test('a speed is max or a factor', () => {
    expect(['max', '1x', '60x', '0.5x', '2'].map(parseSpeed)).toEqual(['max', 1, 60, 0.5, 2])
    for (const text of ['fast', '0x', '-1x', 'x', '', '1e3x'])
      expect(() => parseSpeed(text), text).toThrow('is no speed')
  })

  test('a count has digits and limits', () => {
    expect(parseCount('--n', '250_000')).toBe(250_000)
    expect(parseCount('--n', '0', { min: 0 })).toBe(0)
    for (const text of ['0', '-1', '1.5', '1e3', '', '9'.repeat(17)])
      expect(() => parseCount('--n', text), text).toThrow('--n')
    expect(() => parseCount('--n', '11', { max: 10 })).toThrow('from 1 to 10')
  })
})

describe('bin/millrace.js under an old Node', () => {
  const BIN = fileURLToPath(new URL('../../bin/millrace.js', import.meta.url))
  // Says that this process is Node 20, until another one has been looked for.
  const OLD =
    "data:text/javascript,if(!process.env.MILLRACE_NODE_FOUND)Object.defineProperty(process.versions,'node',{value:'20.19.0'})"

  test('runs with the Node of the package `node`, and hands on its exit code', async () => {
    const { code, err } = await runNode(['--import', OLD, BIN, 'no-such-command'])
    expect(err).toMatch(/unknown command|NOT_BUILT/)
    expect(code).toBe(err.includes('NOT_BUILT') ? 1 : 2)
  })

  test('says what to install where there is none', async () => {
    const bin = folderWith({ 'package.json': '{"type":"module"}', 'bin/millrace.js': await readBin(BIN) })
    const { code, err } = await runNode(['--import', OLD, `${bin}/bin/millrace.js`], { cwd: bin })
    expect({ code, err }).toEqual({
      code: 1,
      err:
        'error NODE_TOO_OLD: this is Node 20.19.0, and a .ts program needs Node 22.18 or later\n' +
        '→ Install Node 24, or add it to the project: npm install --save-dev node@24\n',
    })
  })
})

async function readBin(path: string): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  return readFile(path, 'utf8')
}
