import { expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { createLog } from '../../src/runtime/log.ts'
import { retrying, Warnings } from '../../src/runtime/retry.ts'

const away = new PipelineError('REGISTRY_UNREACHABLE', 'nobody answers', {
  retryable: true,
  advice: 'Check the URL.',
})

/** What the log says at info and above of a call that fails for so long, by a clock that only the waits move. */
async function logOfOutage(outageMs: number, callMs = 0): Promise<readonly Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>)
  let nowMs = 0
  const clock = { nowMs: () => nowMs, sleep: async (ms: number) => void (nowMs += ms) }
  const retry = {
    clock,
    entropy: { random: () => 0.5, nonce: () => '' },
    log: createLog({ level: 'info', pretty: false, write }),
    signal: null,
  }
  await retrying(retry, 'schema 1', async () => {
    nowMs += callMs
    if (nowMs < outageMs) throw away
  })
  return lines
}

it('says nothing of failures that are over at once', async () => {
  expect(await logOfOutage(100)).toEqual([])
})

it('says at once that a call has failed that took long to do so', async () => {
  const [first] = await logOfOutage(60_000, 30_000)
  expect(first).toMatchObject({ level: 'warn', attempt: 1 })
})

it('says of an outage what fails and what to do, now and then that it lasts, and that it is over', async () => {
  const lines = await logOfOutage(600_000)
  const first = lines[0]
  expect(first).toMatchObject({ level: 'warn', operation: 'schema 1', error: 'nobody answers' })
  expect(first).toMatchObject({ attempt: 3, advice: 'Check the URL.', msg: 'schema 1 failed, trying again' })
  const again = lines.slice(1, -1)
  expect(again.length).toBeGreaterThan(10)
  expect(again.length).toBeLessThan(20)
  expect(again.every(({ level, advice }) => level === 'warn' && advice === undefined)).toBe(true)
  expect(lines.at(-1)).toMatchObject({ level: 'info', msg: 'schema 1 works again' })
})

it('says once of many calls that fail alike, and once that it is over', async () => {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>)
  let nowMs = 0
  const clock = { nowMs: () => nowMs, sleep: async (ms: number) => void (nowMs += ms) }
  const retry = {
    clock,
    entropy: { random: () => 0.5, nonce: () => '' },
    log: createLog({ level: 'info', pretty: false, write }),
    signal: null,
    warnings: new Warnings(),
  }
  const put = (key: number): Promise<void> =>
    retrying(retry, `put ${key}`, async () => {
      if (nowMs < 20_000) throw away
    })
  await Promise.all([
    ...Array.from({ length: 50 }, (_, key) => put(key)),
    retrying(retry, 'read orders-0', async () => {
      if (nowMs < 20_000) throw away
    }),
  ])
  expect(lines.map(({ level, msg }) => `${level as string}: ${msg as string}`)).toEqual([
    expect.stringMatching(/^warn: put \d+ failed/),
    'warn: read orders-0 failed, trying again',
    expect.stringMatching(/ works again$/),
    expect.stringMatching(/ works again$/),
  ])
})
