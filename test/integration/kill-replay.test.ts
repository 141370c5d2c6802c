import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findPython, type Python } from '../parts/python.ts'

const KILLS = Number(process.env['MILLRACE_KILLS'] ?? 20)
const SEED = Number(process.env['MILLRACE_KILL_SEED'] ?? Date.now() % 1_000_000)
/** What a start says where one with --fresh was killed between the end of the old incarnation and the beginning of its own. */
const BEGUN_IN_VAIN = 'start again with --fresh'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
let python: Python

beforeAll(async () => {
  python = await findPython()
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/**
 * Given the example's recording and epochs of a few hundred rows,
 * when `millrace replay` is killed with SIGKILL again and again at random moments, and then left to end,
 * then Python's readers find, row for row, what an undisturbed run wrote.
 */
it(`survives ${KILLS} kills: the tables are row for row those of an undisturbed run`, {
  timeout: 600_000,
}, async ({ skip }) => {
  if (python.kind === 'missing') {
    skip(python.reason)
    return
  }
  const quiet = join(scratch, 'quiet')
  const disturbed = join(scratch, 'disturbed')
  expect(await replay(quiet, null)).toBe('ended')

  const random = randomOf(SEED)
  let killed = 0
  let isToBegin = false
  for (let run = 0; killed < KILLS && run < KILLS * 3; run++) {
    const outcome = await replay(disturbed, 400 + random() * 2_200, isToBegin ? ['--fresh'] : [])
    if (outcome === 'killed') killed++
    else if (outcome !== 'ended') expect(outcome).toContain(BEGUN_IN_VAIN)
    // Now and then the work is done before the blow falls: then it begins again, and what was there must go.
    isToBegin = outcome !== 'killed'
  }
  console.log(`MILLRACE_KILL_SEED=${SEED}: killed ${killed} times`)
  expect(killed).toBeGreaterThanOrEqual(KILLS)
  const last = await replay(disturbed, null)
  if (last !== 'ended') {
    expect(last).toContain(BEGUN_IN_VAIN)
    expect(await replay(disturbed, null, ['--fresh'])).toBe('ended')
  }

  const [expected, actual] = await Promise.all([
    digest(python.executable, quiet),
    digest(python.executable, disturbed),
  ])
  expect(actual).toEqual(expected)
})

/** Runs `millrace replay`, and kills it after so many milliseconds unless it has ended: 'ended', 'killed', or its error. */
function replay(lake: string, killAfterMs: number | null, more: readonly string[] = []): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      path('../cli/from-source.ts'),
      'replay',
      path('../../examples/lorawan/lorawan.ts'),
      '--recording',
      path('../../examples/lorawan/frames.avro'),
      '--lake',
      lake,
      '--flush-rows',
      '400',
      '--batch-records',
      '300',
      ...more,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const timer = killAfterMs === null ? null : setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      if (timer !== null) clearTimeout(timer)
      resolve(signal === 'SIGKILL' ? 'killed' : code === 0 ? 'ended' : err)
    })
  })
}

async function digest(executable: string, lake: string): Promise<unknown> {
  const { stdout } = await promisify(execFile)(executable, [path('digest_lake.py'), lake], { maxBuffer: 1e8 })
  return JSON.parse(stdout)
}

function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
}
