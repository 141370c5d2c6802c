import { bronze, pipeline, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { PipelineError } from '../../src/errors.ts'
import type { StagedFile, TableShape } from '../../src/ports.ts'
import { ALL_RULES } from '../../src/runtime/rules.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { TablePublisher } from '../../src/runtime/table-publisher.ts'
import { jsonlEncoder } from '../../src/testing/simulation/jsonl-encoder.ts'
import { QuietLog } from '../../src/testing/simulation/quiet-log.ts'
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

  it('takes an epoch once that waits when a process takes its own task over again and redoes it', async () => {
    const lake = memoryStore()
    const shape: TableShape = {
      path: 'bronze/readings',
      fields: [{ name: 'id', type: { kind: 'string' }, nullable: false }],
      partitionBy: [],
      options: { compression: 'snappy', rowGroupRows: 1, fileRowsMax: 1, dictionary: [] },
    }
    const publisher = new TablePublisher({
      log: deltaFormat(lake, jsonlEncoder).open(shape),
      retry: { clock: systemClock, entropy: systemEntropy, log: new QuietLog(() => {}), signal: null },
      rules: ALL_RULES,
      pipeline: 'first',
      incarnation: 1,
      incarnationAppId: 'first',
      isOwned: true,
      run: 'run',
    })
    await publisher.open()
    // The first is on its way; the others wait for it, and go into one commit.
    const epochs = [0, 1, 2, 1, 2]
    await Promise.all(
      epochs.map((epoch) => publisher.publish({ appId: 'first/1/t-0', epoch, files: [fileOf(epoch)] })),
    )
    const added: string[] = []
    for (const { key } of await lake.list(LOG)) {
      const text = new TextDecoder().decode((await lake.get(key)) ?? undefined)
      for (const [, path] of text.matchAll(/"add":{"path":"([^"]+)"/g)) added.push(path!)
    }
    expect(added).toEqual(['0.jsonl', '1.jsonl', '2.jsonl'])
  })
})

function fileOf(epoch: number): StagedFile {
  return {
    path: `${epoch}.jsonl`,
    size: 1,
    rows: 1,
    partitionValues: {},
    stats: '{}',
    modifiedMs: 0,
    tags: {},
  }
}
