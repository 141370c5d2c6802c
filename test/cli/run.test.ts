import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runMain } from '../../src/cli/run.ts'
import { RAN } from '../../src/runtime/ran.ts'
import { processTerminal } from '../../src/cli/terminal.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-run-'))

function mainFile(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const start = (path: string) =>
  runMain(
    { path, fresh: false, backfill: false, acceptLoss: false, allowRemoved: false, logLevel: null },
    processTerminal({}, false),
  )

/** What a run does to the process and to its errors, without a second copy of the package. */
const RAN_TEXT = `const RAN = Symbol.for('millrace.ran'); globalThis[RAN] = (globalThis[RAN] ?? 0) + 1;`

describe('millrace run', () => {
  it('says so where the file called no run()', async () => {
    delete (globalThis as { [RAN]?: number })[RAN]
    await expect(start(mainFile('nothing.mjs', 'export default 1'))).rejects.toMatchObject({
      code: 'NOTHING_RUN',
    })
  })

  it('ends with 0 when run() has', async () => {
    await expect(start(mainFile('done.mjs', RAN_TEXT))).resolves.toBe(0)
  })

  it('reports what run() threw as it is, and not as a program that does not load', async () => {
    const text = `${RAN_TEXT}
const error = new Error('no broker'); error.name = 'PipelineError'; error.code = 'KAFKA_UNREACHABLE'; error.advice = 'Start one.';
error[RAN] = true; throw error`
    await expect(start(mainFile('threw.mjs', text))).rejects.toMatchObject({
      code: 'KAFKA_UNREACHABLE',
      message: 'no broker',
      advice: 'Start one.',
    })
  })
})
