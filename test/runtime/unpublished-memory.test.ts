import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { bronze, pipeline, stream } from 'millrace'
import { expect, it } from 'vitest'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { gate } from '../support/scripted-source.ts'
import { hookedStore, rowsIn, start } from '../support/world.ts'

const program = pipeline({ name: 'held', tables: [bronze('readings', stream('readings', Reading))] })
const records = Array.from({ length: 40 }, (_, i) => reading(i))
const CHAIN = '_millrace/held/000001/readings-0/'

/** V8's own, at once. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}

it('epochs that wait to be published do not keep the bytes of their files in memory', async () => {
  const lake = memoryStore()
  const over = gate()
  const bodies: WeakRef<Uint8Array>[] = []
  const watched: ObjectStore = {
    ...hookedStore(lake, {
      async before(call, key) {
        if (call === 'putIfAbsent' && key.startsWith('bronze/readings/_delta_log/')) await over.passed
      },
    }),
    put: (key, body) => {
      if (key.startsWith('bronze/')) bodies.push(new WeakRef(body))
      return lake.put(key, body.slice())
    },
  }
  const run = start(program, { lake: watched, records, epochRows: 1 })
  let seen = -1
  for (let turns = 0; turns < 50; turns++) {
    const now = (await lake.list(CHAIN)).length
    if (now !== seen) turns = 0
    seen = now
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(seen).toBeGreaterThan(16)
  collectGarbage()
  const held = bodies.filter((body) => body.deref() !== undefined)
  expect(held.length).toBeLessThanOrEqual(3)
  over.open()
  await run
  expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(records.length)
})
