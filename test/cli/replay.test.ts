import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { project, REPLAY } from './project.ts'
import { CLI_ENV, runCli } from './run-cli.ts'

/** What a lake holds, file by file. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
}

describe('millrace replay', () => {
  test('fills a lake, then finds nothing to do, then begins again', async () => {
    const cwd = project()
    const first = await runCli(REPLAY, { cwd })
    expect(first.code, first.err).toBe(0)
    expect(first.out).toMatch(
      /^Done: read 163 records of recordings\/orders\.avro in .*; everything is published\.\n/,
    )
    expect(first.out).toMatch(/ gold\.shop_quarters +29 /)
    expect(first.out).toMatch(
      / dead letters +2 {2}(invalid 1, late 1|late 1, invalid 1)\n late rows +1 {2}shop_quarters 1\n dropped rows +3 {2}once 3\n/,
    )
    expect(first.out).toContain('gold.shop_quarters, the first of 29 rows:')
    expect(first.out).toContain('2024-05-13 06:30:00Z  2024-05-13 06:45:00Z')
    expect(first.out).toContain('millrace dead-letters ls')
    for (const line of first.err.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('msg')

    const before = filesIn(join(cwd, 'lake'))
    const second = await runCli(REPLAY, { cwd })
    expect(second.code).toBe(0)
    expect(second.out).toMatch(/^Everything is read and published; nothing changed\.\n/)
    expect(second.out).toContain('--fresh')
    expect(filesIn(join(cwd, 'lake'))).toEqual(before)

    const again = await runCli([...REPLAY, '--fresh', '--log-level', 'silent'], { cwd })
    expect(again).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/ gold\.shop_quarters +29 /) })
  })

  test('stops where it is told, and continues from there to the same tables', async () => {
    const cwd = project()
    const part = await runCli([...REPLAY, '--until', '2024-05-13T08:00:00Z', '--lake', 'part'], { cwd })
    expect(part).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^Stopped at arrival time 2024-05-13 08:00:00Z after /),
    })
    const rest = await runCli([...REPLAY, '--lake', 'part', '--flush-rows', '11', '--batch-records', '3'], {
      cwd,
    })
    expect(rest.code, rest.err).toBe(0)
    await runCli([...REPLAY, '--lake', 'whole'], { cwd })
    const ask = (lake: string) =>
      runCli(['query', 'select * from gold.shop_quarters order by all', '--lake', lake, '--format', 'csv'], {
        cwd,
      })
    const [partly, whole] = await Promise.all([ask('part'), ask('whole')])
    expect(partly.out.split('\n')).toHaveLength(31)
    expect(partly.out).toBe(whole.out)
  })

  test('tells a wrong program, a changed one, a missing recording and the circuit breaker apart', async () => {
    const cwd = project()
    const source = readFileSync(join(cwd, 'orders.ts'), 'utf8')
    writeFileSync(join(cwd, 'changed.ts'), source.replace('minutes(15)', 'minutes(30)'))
    writeFileSync(
      join(cwd, 'strict.ts'),
      source
        .replace('between(1, 50)', 'between(100, 200)')
        .replace('tables: [', 'circuitBreaker: { sample: 50 },\n  tables: ['),
    )
    writeFileSync(join(cwd, 'enum.ts'), `enum A { B }\n${source}`)
    expect((await runCli(REPLAY, { cwd })).code).toBe(0)
    const recording = ['--recording', 'recordings/orders.avro']
    const runs = [
      [['replay', 'enum.ts', ...recording], 2, /error PROGRAM_UNSUPPORTED_SYNTAX/],
      [['replay', 'changed.ts', ...recording], 1, /error PROGRAM_CHANGED: .*shop_quarters/],
      [['replay', 'strict.ts', ...recording, '--lake', 'other'], 3, /error CIRCUIT_OPEN/],
      [
        ['replay', 'orders.ts', '--recording', 'gone.avro', '--registry', 'recordings/registry'],
        1,
        /error RECORDING_MISSING/,
      ],
      [
        ['replay', 'orders.ts', ...recording, '--registry', 'gone'],
        2,
        /error USAGE: there is no folder gone/,
      ],
    ] as const
    const results = await Promise.all(runs.map(([args]) => runCli(args, { cwd })))
    for (const [index, [args, code, message]] of runs.entries()) {
      const result = results[index]!
      expect(result.err, args.join(' ')).toMatch(message)
      expect(result.err).toMatch(/\n→ .*\n$/)
      expect(result.err).not.toMatch(/^\s+at .*(src|dist)\/(cli|runtime)/m)
      expect(result.code, args.join(' ')).toBe(code)
    }
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('on %s records and publishes what it has read', async (signal, code) => {
    const cwd = project()
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL('./from-source.ts', import.meta.url)), ...REPLAY, '--speed', '1x'],
      { cwd, env: CLI_ENV },
    )
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    // At 1x the recording takes hours: whatever happens, it is in the middle when the first line of the log is there.
    child.stderr.setEncoding('utf8').once('data', () => {
      child.kill(signal)
      // What npm does with a Ctrl-C that the terminal has sent already.
      child.kill(signal)
    })
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(code)
    expect(out).toMatch(
      /^Stopped after \d+ records? .*\.\nWhat was read is published; the same command continues\.\n/,
    )
  })
})
