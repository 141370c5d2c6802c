import { describe, expect, it } from 'vitest'
import { type SinkMarkers, taskProgress, workAt } from '../../src/cli/chain-facts.ts'
import { ChainKeys } from '../../src/checkpoint/keys.ts'
import { type ChainRecord, encodeRecord } from '../../src/checkpoint/record.ts'
import { encodeUtf8 } from '../../src/columns/utf8.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { SILENT } from '../support/world.ts'

const keys = new ChainKeys('p', 1)
const retry = { clock: systemClock, entropy: systemEntropy, log: SILENT, signal: null }
const file = { path: 'f', size: 1, rows: 1, partitionValues: {}, stats: '', modifiedMs: 0, tags: {} }

const base = {
  version: 1,
  pipeline: 'p',
  incarnation: 1,
  task: 'trips-0',
  nonce: 'n',
  run: 'run-1',
  writtenMs: 0,
}

const claim = (epoch: number, owner: string) => ({ ...base, epoch, kind: 'claim', owner }) as ChainRecord

/** Work that gives rows to these tables, and perhaps messages. */
const data = (
  epoch: number,
  tables: readonly string[],
  published: Readonly<Record<string, number>>,
  more: object = {},
): ChainRecord =>
  ({
    ...base,
    epoch,
    kind: 'data',
    claim: 0,
    files: Object.fromEntries(tables.map((path) => [path, [file]])),
    published,
    work: { type: 'partition', state: {}, records: 1, dedupe: [], partials: null },
    ...more,
  }) as unknown as ChainRecord

async function progressOf(records: readonly ChainRecord[], markers: Readonly<Record<string, number>> = {}) {
  const store = memoryStore()
  for (const record of records) {
    await store.put(keys.record(record.task, record.epoch), encodeUtf8(encodeRecord(record)))
  }
  const sinks: SinkMarkers = {
    table: async (path) => markers[path] ?? -1,
    outbox: async () => markers['outbox'] ?? -1,
  }
  return taskProgress(store, keys, 'trips-0', sinks, retry)
}

const epochs = ({ recorded, published, unpublished }: Awaited<ReturnType<typeof progressOf>>) => ({
  recorded: recorded?.epoch ?? null,
  published: published?.epoch ?? null,
  unpublished,
})

describe('how far a task has come', () => {
  it('is nothing where it was only claimed', async () => {
    const progress = await progressOf([claim(0, 'a:1')])
    expect(epochs(progress)).toEqual({ recorded: null, published: null, unpublished: 0 })
    expect(progress.owner).toBe('a:1')
  })

  it('is published up to the first epoch that a table with rows of it lacks', async () => {
    const published = { bronze: 1, silver: 1 }
    const records = [
      claim(0, 'a:1'),
      data(1, ['bronze'], { bronze: -1, silver: -1 }),
      data(2, ['bronze', 'silver'], { bronze: 1, silver: -1 }),
      data(3, ['bronze'], published),
      data(4, ['bronze', 'silver'], published),
    ]
    const at = async (bronze: number, silver: number) => epochs(await progressOf(records, { bronze, silver }))
    expect(await at(4, 4)).toEqual({ recorded: 4, published: 4, unpublished: 0 })
    expect(await at(4, 2)).toEqual({ recorded: 4, published: 3, unpublished: 1 })
    expect(await at(2, 4)).toEqual({ recorded: 4, published: 2, unpublished: 2 })
    expect(await at(1, 1)).toEqual({ recorded: 4, published: 1, unpublished: 3 })
  })

  it('believes the records where the tables need not be asked', async () => {
    const records = [data(1, ['bronze'], { bronze: -1 }), data(2, [], { bronze: 1 })]
    expect(epochs(await progressOf(records))).toEqual({ recorded: 2, published: 2, unpublished: 0 })
  })

  it('is published only when its messages are', async () => {
    const outbox = { key: 'k', messages: 2, topics: ['dead'] }
    const records = [data(1, [], { outbox: 0 }, { outbox, outboxMarker: -1 })]
    expect(epochs(await progressOf(records))).toMatchObject({ published: null, unpublished: 1 })
    expect(epochs(await progressOf(records, { outbox: 1 }))).toMatchObject({ published: 1, unpublished: 0 })
  })

  it('names the newest owner, and the run where the claim is gone', async () => {
    const work = data(2, [], {})
    expect((await progressOf([claim(0, 'a:1'), claim(1, 'b:2'), work, claim(3, 'c:3')])).owner).toBe('c:3')
    expect((await progressOf([claim(0, 'a:1'), claim(1, 'b:2'), work])).owner).toBe('b:2')
    expect((await progressOf([work])).owner).toBe('run-1')
  })

  it('finds the work at or below an epoch', async () => {
    const { chain } = await progressOf([claim(0, 'a'), data(1, [], {}), claim(2, 'b'), data(3, [], {})])
    expect((await workAt(chain, 2))?.epoch).toBe(1)
    expect((await workAt(chain, 3))?.epoch).toBe(3)
    expect(await workAt(chain, 0)).toBeNull()
    expect(await workAt(chain, 9)).toBeNull()
  })
})
