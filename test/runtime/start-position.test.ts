import { bronze, pipeline, stream } from 'millrace'
import { expect, it } from 'vitest'
import type { Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { IMPATIENT, rowsIn, start, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading)
const program = pipeline({ name: 'latest', tables: [bronze('readings', readings)], circuitBreaker: false })

/** A topic that is begun at its end, and has `records` by now. */
function topicBegunAtItsEnd(records: number, opened: (string | null)[]): Source {
  const all = Array.from({ length: records }, (_, i) => reading(i, { sensor: `s${i}` }))
  const inner = rowsSource(program, all).open(WORLD)
  return {
    description: inner.description,
    isBacklog: false,
    partitions: () => inner.partitions(),
    async open(partition, position) {
      opened.push(position)
      const end = position ?? String(records)
      const reader = await inner.open(partition, end)
      return {
        start: position === null ? end : undefined,
        async read(recordsMax) {
          await IMPATIENT.sleep(0)
          const result = await reader.read(recordsMax)
          return result.kind === 'end' ? { kind: 'quiet', arrivalClockMs: 0 } : result
        },
        close: () => reader.close(),
      }
    },
    close: () => inner.close(),
  }
}

it('is recorded before the first record: what comes while nobody runs is not skipped by the next start', async () => {
  const lake = memoryStore()
  const opened: (string | null)[] = []
  const run = async (source: Source): Promise<void> => {
    const stop = new AbortController()
    const running = start(program, { lake, source, signal: stop.signal, epochMs: 1 })
    for (let i = 0; i < 200; i++) await IMPATIENT.sleep(0)
    stop.abort()
    await running
  }
  await run(topicBegunAtItsEnd(5, opened))
  await run(topicBegunAtItsEnd(8, opened))
  expect(opened).toEqual([null, '5'])
  const rows = await rowsIn(lake, 'bronze/readings')
  expect(rows.map(({ sensor }) => sensor)).toEqual(['s5', 's6', 's7'])
})
