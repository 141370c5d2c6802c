import { beforeEach, describe, expect, it } from 'vitest'
import { POLL_LIMITS } from '../../consumers/kinesis/poll-limits.ts'
import { KinesisSource } from '../../consumers/kinesis/source.ts'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { rootsOf } from '../../src/cli/record-stream.ts'
import { captureStream } from '../../src/cli/stream-capture.ts'
import { LEASE_TIMES } from '../../src/leases/lease-membership.ts'
import { systemEntropy } from '../../src/runtime/system.ts'
import { unavailable } from '../kinesis/fake-faults.ts'
import { FakeKinesis } from '../kinesis/fake-kinesis.ts'
import { StepClock } from '../kinesis/step-clock.ts'
import { SILENT } from '../support/world.ts'

const FIRST = 'shardId-000000000000'
const SECOND = 'shardId-000000000001'

interface Capture {
  readonly from?: 'earliest' | 'latest' | Date
  readonly untilEnd?: boolean
  readonly recordsMax?: number
  /** Told of each record. */
  readonly written?: (record: string) => void
}

describe('a capture of a stream', () => {
  let clock: StepClock
  let api: FakeKinesis

  beforeEach(() => {
    clock = new StepClock()
    api = new FakeKinesis({ clock })
    api.addStream('trips', 2)
  })

  /** 'partition/offset text' of what it wrote. */
  async function capture({ from = 'earliest', untilEnd = true, recordsMax = 1e9, written }: Capture = {}) {
    const options = {
      stream: 'trips',
      kinesis: {},
      from,
      fanOut: null,
      limits: POLL_LIMITS,
      bufferBytes: 1e6,
      leases: LEASE_TIMES,
      workerName: null,
    } as const
    const world = { clock, entropy: systemEntropy, log: SILENT, acceptLoss: false }
    const source = new KinesisSource(options, world, api)
    const roots = await rootsOf(api, 'trips', from)
    const records: string[] = []
    let isOver = false
    const write = (record: RawRecord): boolean => {
      const { partition, offset, value } = record
      records.push(`${partition}/${offset} ${new TextDecoder().decode(value ?? undefined)}`)
      written?.(records.at(-1)!)
      return records.length < recordsMax
    }
    const signal = new AbortController().signal
    const over = captureStream({ source, clock, signal, roots, untilEnd, write, follows: () => {} }).finally(
      () => (isOver = true),
    )
    over.catch(() => {})
    await clock.until(() => isOver)
    await over
    await source.close()
    return records
  }

  const put = async (text: string, shardId: string): Promise<void> => {
    api.put('trips', text, { shardId })
    await clock.advance(1_000)
  }

  it('merges shards by arrival, and reads those that were split or merged before what they became', async () => {
    await put('a', FIRST)
    await put('b', SECOND)
    await put('c', FIRST)
    const [left, right] = api.split('trips', SECOND)
    await put('d', right!)
    await put('e', FIRST)
    const merged = api.merge('trips', FIRST, left!)
    await put('f', merged)
    expect(await capture()).toEqual(['0/0 a', '1/0 b', '0/1 c', '3/1 d', '0/2 e', '4/3 f'])
  })

  it('goes on with what a shard is split into while it is read', async () => {
    await put('a', FIRST)
    const records = await capture({
      untilEnd: false,
      recordsMax: 3,
      written(record) {
        if (record !== '0/0 a') return
        const [left] = api.split('trips', FIRST)
        api.put('trips', 'b', { shardId: left! })
        api.put('trips', 'c', { shardId: left! })
      },
    })
    expect(records).toEqual(['0/0 a', '2/1 b', '2/2 c'])
  })

  it('begins at a time, or with what comes', async () => {
    await put('a', FIRST)
    const from = new Date(clock.nowMs())
    api.split('trips', FIRST)
    await put('b', SECOND)
    expect(await capture({ from })).toEqual(['1/0 b'])
    expect(await capture({ from: 'latest' })).toEqual([])
  })

  it('ends where the stream ended when it began', async () => {
    await put('a', FIRST)
    const records = await capture({
      written() {
        api.put('trips', 'later', { shardId: SECOND })
      },
    })
    expect(records).toContain('0/0 a')
    expect(records.length).toBeLessThanOrEqual(2)
  })

  it('goes on where reading fails for a while', async () => {
    for (const text of 'abcdef') await put(text, FIRST)
    let calls = 0
    api.plan(({ operation }) =>
      operation === 'getRecords' && calls++ % 2 === 0 ? { kind: 'throw', error: unavailable() } : null,
    )
    expect(await capture()).toEqual('abcdef'.split('').map((text, index) => `0/${index} ${text}`))
  })
})
