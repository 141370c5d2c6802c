import { bronze, pipeline, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { PipelineError } from '../../src/errors.ts'
import type { ObjectStore, StagedFile, TableShape } from '../../src/ports.ts'
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
    const publisher = await openPublisher(lake)
    // The first is on its way; the others wait for it, and go into one commit.
    const epochs = [0, 1, 2, 1, 2]
    await Promise.all(
      epochs.map((epoch) => publisher.publish({ appId: TASK, epoch, files: [fileOf(epoch)] })),
    )
    const added = (await commitsOf(lake)).flatMap(({ add }) => add)
    expect(added).toEqual(['0.jsonl', '1.jsonl', '2.jsonl'])
  })

  it('loses the files that an epoch replaces in the commit that adds its own', async () => {
    const lake = memoryStore()
    const publisher = await openPublisher(lake)
    await publisher.publish({ appId: TASK, epoch: 0, files: [fileOf(0)] })
    await publisher.publish({ appId: TASK, epoch: 1, files: [fileOf(1)], remove: [fileOf(0)] })
    expect(await commitsOf(lake)).toEqual([
      { add: ['0.jsonl'], remove: [] },
      { add: ['1.jsonl'], remove: ['0.jsonl'] },
    ])
    // What is redone is there already.
    await publisher.publish({ appId: TASK, epoch: 1, files: [fileOf(1)], remove: [fileOf(0)] })
    expect(await commitsOf(lake)).toHaveLength(2)
  })

  it('never has a file that one epoch of a commit adds and another replaces, but has the marker of both', async () => {
    const lake = memoryStore()
    const publisher = await openPublisher(lake)
    const other = `${TASK}-other`
    await Promise.all([
      publisher.publish({ appId: TASK, epoch: 0, files: [fileOf(0)] }),
      // These wait for the first, and go into one commit.
      publisher.publish({ appId: TASK, epoch: 1, files: [fileOf(1)], remove: [fileOf(0)] }),
      publisher.publish({ appId: other, epoch: 7, files: [fileOf(7)] }),
      publisher.publish({ appId: TASK, epoch: 2, files: [], remove: [fileOf(1)] }),
    ])
    expect(await commitsOf(lake)).toEqual([
      { add: ['0.jsonl'], remove: [] },
      { add: ['7.jsonl'], remove: ['0.jsonl'] },
    ])
    expect([publisher.markerOf(TASK), publisher.markerOf(other)]).toEqual([2, 7])

    const before = (await commitsOf(lake)).length
    await Promise.all([
      publisher.publish({ appId: TASK, epoch: 3, files: [fileOf(3)] }),
      publisher.publish({ appId: TASK, epoch: 4, files: [fileOf(4)] }),
      publisher.publish({ appId: TASK, epoch: 5, files: [], remove: [fileOf(4)] }),
    ])
    expect((await commitsOf(lake)).slice(before)).toEqual([
      { add: ['3.jsonl'], remove: [] },
      // Nothing comes of it but that the epochs are not to be redone.
      { add: [], remove: [] },
    ])
    expect(publisher.markerOf(TASK)).toBe(5)
  })
})

const TASK = 'first/1/t-0'

async function openPublisher(lake: ObjectStore): Promise<TablePublisher> {
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
  return publisher
}

/** What each version of the log adds and removes. */
async function commitsOf(lake: ObjectStore): Promise<readonly { add: string[]; remove: string[] }[]> {
  const commits: { add: string[]; remove: string[] }[] = []
  for (const { key } of await lake.list(LOG)) {
    const text = new TextDecoder().decode((await lake.get(key)) ?? undefined)
    const paths = (action: string): string[] =>
      [...text.matchAll(new RegExp(`"${action}":{"path":"([^"]+)"`, 'g'))].map(([, path]) => path!)
    commits.push({ add: paths('add'), remove: paths('remove') })
  }
  return commits
}

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
