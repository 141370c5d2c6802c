import { bronze, pipeline, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { hookedStore, rowsIn, start } from '../support/world.ts'

const named = (name: string) =>
  pipeline({ name, tables: [bronze('readings', stream('readings', Reading))], circuitBreaker: false })

const records = Array.from({ length: 6 }, (_, i) => reading(i))
const LOG = 'bronze/readings/_delta_log/'

describe('a table', () => {
  it('belongs to the pipeline that makes it, also where another has looked before it was there', async () => {
    const lake = memoryStore()
    const slow = hookedStore(lake, {
      async before(call, key) {
        if (call !== 'putIfAbsent' || !key.startsWith(LOG) || (await lake.get(key)) !== null) return
        await start(named('first'), { lake, records })
      },
    })
    await expect(start(named('second'), { lake: slow, records: records.slice(2) })).rejects.toMatchObject({
      code: 'TABLE_OF_ANOTHER',
      message: expect.stringContaining('belongs to pipeline first'),
    })
    expect(await rowsIn(lake, 'bronze/readings')).toHaveLength(6)
  })

  it('counts what a commit added whose answer was lost', async () => {
    let lost = 0
    const lake = hookedStore(memoryStore(), {
      after(call, key) {
        if (call !== 'putIfAbsent' || !key.startsWith(LOG)) return
        lost++
        throw new PipelineError('STORE_AMBIGUOUS', 'no answer', { retryable: true })
      },
    })
    const summary = await start(named('first'), { lake, records, epochRows: 2 })
    expect(lost).toBeGreaterThan(0)
    expect(summary.tables[0]).toMatchObject({ rows: 6, rowsAdded: 6, filesAdded: 3 })
  })
})
