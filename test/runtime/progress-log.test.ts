import { expect, it } from 'vitest'
import { createLog } from '../../src/runtime/log.ts'
import { progressLog } from '../../src/runtime/progress-log.ts'

it('says soon after the start that records are read, then now and then, and nothing while there are none', () => {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>)
  let nowMs = 0
  const clock = { nowMs: () => nowMs, sleep: async () => {} }
  const progress = progressLog(createLog({ level: 'info', pretty: false, write }), clock)
  const at = (ms: number, records: number): void => {
    nowMs = ms
    progress({ records, recordsBefore: 0, watermarkMs: Date.UTC(2026, 0, 1), deadLetters: 1 })
  }
  at(1_000, 500)
  at(10_000, 1_000)
  at(20_000, 2_000)
  at(40_000, 4_000)
  at(80_000, 4_000)
  expect(lines).toMatchObject([
    { msg: 'progress', records: 1_000, recordsPerSecond: 100, watermark: '2026-01-01T00:00:00.000Z' },
    { msg: 'progress', records: 4_000, recordsPerSecond: 100, deadLetters: 1 },
  ])
})
