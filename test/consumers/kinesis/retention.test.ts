import { describe, expect, it } from 'vitest'
import { parseKinesisPosition } from '../../../consumers/kinesis/position.ts'
import type { KinesisSource } from '../../../consumers/kinesis/source.ts'
import { taskOfShard } from '../../../consumers/kinesis/shard-task.ts'
import type { MembershipListener, PartitionReader, ReadResult } from '../../../src/ports.ts'
import { memoryStore } from '../../../src/testing/memory-store.ts'
import type { FakeKinesisOptions } from '../../kinesis/fake-kinesis.ts'
import { rowsOf } from './kpl-kit.ts'
import { SourceKit } from './source-kit.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const SHARD = 'shardId-000000000000'
const PARTITION = { id: taskOfShard('trips', SHARD), topic: 'trips', partition: 0 }

const LISTENER: MembershipListener = {
  assigned: () => {},
  revoked: async () => {},
  lost: () => {},
  failed: () => {},
}

/** The next that is no empty batch. */
async function next(kit: SourceKit, reader: PartitionReader, recordsMax = 100): Promise<ReadResult> {
  for (;;) {
    const result = await kit.within(reader.read(recordsMax))
    if (result.kind !== 'records' || result.batch.count > 0) return result
  }
}

function textsOf(result: ReadResult): readonly string[] {
  return result.kind === 'records' ? rowsOf(result.batch).map(({ value }) => value) : []
}

function positionOf(result: ReadResult): string {
  return result.kind === 'records' ? result.batch.positionAfter(result.batch.count - 1) : ''
}

const STORE_OF = new WeakMap<SourceKit, ReturnType<typeof memoryStore>>()

describe('a pipeline that begins with the oldest records of a stream', () => {
  async function join(kit: SourceKit, source: KinesisSource, known: readonly string[] = []): Promise<void> {
    const place = { store: STORE_OF.get(kit)!, prefix: 'p/_leases/', known }
    await kit.within(source.membership.join([], LISTENER, place))
  }

  async function beginAt(kit: SourceKit, source: KinesisSource): Promise<PartitionReader> {
    await join(kit, source)
    return kit.within(source.open(PARTITION, null))
  }

  function newKit(options: Partial<FakeKinesisOptions> = {}): SourceKit {
    const kit = new SourceKit(1, options)
    STORE_OF.set(kit, memoryStore())
    return kit
  }

  it('has come no further than the records that it has read', async () => {
    const kit = newKit()
    const arrivedMs = kit.clock.nowMs()
    kit.kinesis.put('trips', 'a')
    await kit.clock.advance(HOUR_MS)
    kit.kinesis.put('trips', 'b')
    await kit.clock.advance(12 * HOUR_MS)
    kit.kinesis.put('trips', 'c')
    const first = await next(kit, await beginAt(kit, kit.source()), 1)
    expect(textsOf(first)).toEqual(['a'])
    expect(parseKinesisPosition(positionOf(first)).asOfMs).toBe(arrivedMs)
    // By then Kinesis has deleted the second one, which nobody has read.
    await kit.clock.advance(13 * HOUR_MS)
    await expect(kit.within(kit.source().open(PARTITION, positionOf(first)))).rejects.toMatchObject({
      code: 'POSITION_EXPIRED',
    })
  })

  it('may be started again while it is still at the edge', async () => {
    const kit = newKit()
    kit.kinesis.put('trips', 'a')
    await kit.clock.advance(MINUTE_MS)
    kit.kinesis.put('trips', 'b')
    await kit.clock.advance(23.9 * HOUR_MS)
    kit.kinesis.put('trips', 'c')
    const source = kit.source()
    const first = await next(kit, await beginAt(kit, source), 1)
    await kit.within(source.membership.leave())
    await kit.clock.advance(30 * MINUTE_MS)
    const again = kit.source()
    await beginAt(kit, again)
    const reader = await kit.within(again.open(PARTITION, positionOf(first)))
    expect(textsOf(await next(kit, reader))).toEqual(['c'])
    expect(kit.warnings().join()).toMatch(/has just begun with the oldest records/)
    await kit.within(again.membership.leave())
  })

  it('has not begun anew where it goes on from another incarnation', async () => {
    const kit = newKit()
    kit.kinesis.put('trips', 'a')
    const first = await next(kit, await kit.within(kit.source().open(PARTITION, null)))
    await kit.clock.advance(30 * HOUR_MS)
    const source = kit.source()
    await join(kit, source, [PARTITION.id])
    await expect(kit.within(source.open(PARTITION, positionOf(first)))).rejects.toMatchObject({
      code: 'POSITION_EXPIRED',
    })
    await kit.within(source.membership.leave())
  })

  it('is told where it falls behind, also when it has read but once', async () => {
    const kit = newKit({ recordsMax: 1 })
    for (const text of ['a', 'b']) {
      kit.kinesis.put('trips', text.repeat(1_000_000))
      await kit.clock.advance(HOUR_MS)
    }
    await kit.clock.advance(8 * HOUR_MS)
    const reader = await beginAt(kit, kit.source())
    await kit.clock.advance(1_000)
    // Nobody reads: nothing is fetched, and what there was goes.
    await kit.clock.advance(20 * HOUR_MS)
    kit.kinesis.put('trips', 'c')
    await expect(
      (async () => {
        for (let reads = 0; reads < 50; reads++) await next(kit, reader)
      })(),
    ).rejects.toMatchObject({ code: 'POSITION_EXPIRED' })
  })
})

describe.each([
  ['polled', {}],
  ['read by enhanced fan-out', { fanOut: { consumer: 'taxi' } }],
])('a shard that Kinesis forgets while it is read: %s', (_, options) => {
  async function readUntilGone(kit: SourceKit, acceptLoss: boolean): Promise<readonly string[]> {
    const source = kit.source({ ...options, acceptLoss })
    const reader = await kit.within(source.open(PARTITION, null))
    const seen: string[] = []
    await kit.clock.advance(10_000)
    // Nobody reads on for so long that the shard goes, with all that was not fetched.
    await kit.clock.advance(26 * HOUR_MS)
    for (let reads = 0; reads < 50; reads++) {
      const result = await next(kit, reader)
      if (result.kind === 'handed-on') return [...seen, ...result.to]
      seen.push(...textsOf(result).map((text) => text.slice(0, 1)))
    }
    return seen
  }

  function splitKit(): SourceKit {
    const kit = new SourceKit(1, { recordsMax: 1 })
    kit.kinesis.put('trips', 'a'.repeat(1_000_000))
    kit.kinesis.put('trips', 'b')
    kit.kinesis.split('trips', SHARD)
    return kit
  }

  it('ends the run where it had records that were not read', async () => {
    await expect(readUntilGone(splitKit(), false)).rejects.toMatchObject({ code: 'POSITION_EXPIRED' })
  })

  it('hands on where the loss is accepted, and says so', async () => {
    const kit = splitKit()
    const children = [1, 2].map((number) => taskOfShard('trips', `shardId-00000000000${number}`))
    expect(await readUntilGone(kit, true)).toEqual(['a', ...children])
    expect(kit.warnings().join()).toMatch(/may have deleted/)
  })
})
