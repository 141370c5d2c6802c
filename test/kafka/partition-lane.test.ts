import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import type { KafkaClient, RawRequest } from '../../src/kafka/client.ts'
import { type DeliveryOptions, PartitionLane } from '../../src/kafka/partition-lane.ts'
import type { ProducedPartition } from '../../src/kafka/transaction-requests.ts'
import { silent } from '../consumers/kafka/group-kit.ts'

/** What the broker answers to one request: an error code, or an error of the connection. */
type Answer = number | PipelineError

const LOST = new PipelineError('KAFKA_UNREACHABLE', 'no answer', { retryable: true })

interface SentBatch {
  readonly producerId: number
  readonly baseSequence: number
  readonly records: number
}

/** Batches as they went over the wire, and a lane whose broker answers as the test says; 0 after that. */
function laneThat(answers: readonly Answer[], options: Partial<DeliveryOptions> = {}) {
  const sent: SentBatch[] = []
  const left = [...answers]
  let nowMs = 0
  let identities = 0
  const client = {
    async send(_: number, request: RawRequest<unknown>): Promise<readonly Partial<ProducedPartition>[]> {
      sent.push(batchIn(request.encode()))
      const answer = left.shift() ?? 0
      if (typeof answer !== 'number') throw answer
      return [{ errorCode: answer, baseOffset: answer === 0 ? 100 : -1, detail: null }]
    },
  } as unknown as KafkaClient
  const lane = new PartitionLane(0, {
    client,
    topic: 'trips',
    clock: {
      nowMs: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms
      },
    },
    log: silent,
    compression: 'none',
    batchBytesMax: 10_000,
    lingerMs: 5,
    deliveryTimeoutMs: 1_000,
    identity: async () => ({ producerId: ++identities, producerEpoch: 0 }),
    leader: async () => 1,
    refresh: async () => {},
    settled: () => {},
    ...options,
  })
  const send = (count: number) =>
    Promise.allSettled(
      Array.from({ length: count }, () =>
        lane.add({ key: null, value: Uint8Array.of(1), headers: [], timestampMs: 0 }, 50),
      ),
    )
  return { sent, lane, send }
}

/** Fields of the only batch of a Produce v8 request without a transactional id for the topic 'trips'. */
function batchIn(request: Buffer): SentBatch {
  const batch = request.subarray(request.indexOf('trips') + 'trips'.length + 4 + 4 + 4)
  return {
    producerId: Number(batch.readBigInt64BE(43)),
    baseSequence: batch.readInt32BE(53),
    records: batch.readInt32BE(57),
  }
}

const statuses = (outcomes: readonly PromiseSettledResult<unknown>[]) => [
  ...new Set(outcomes.map(({ status }) => status)),
]

describe('what is sent to one partition', () => {
  it('shares batches, and counts on', async () => {
    const { sent, send } = laneThat([])
    expect(await send(3)).toEqual(
      [100, 101, 102].map((offset) => ({ status: 'fulfilled', value: { partition: 0, offset } })),
    )
    await send(2)
    expect(sent).toEqual([
      { producerId: 1, baseSequence: 0, records: 3 },
      { producerId: 1, baseSequence: 3, records: 2 },
    ])
  })

  it('is sent again with the same numbers where an answer was lost, and nothing is sent after it meanwhile', async () => {
    const { sent, send, lane } = laneThat([LOST, 7, 6])
    const first = send(2)
    const second = send(1)
    expect(statuses([...(await first), ...(await second)])).toEqual(['fulfilled'])
    await lane.flush()
    expect(sent.map(({ baseSequence, records }) => [baseSequence, records])).toEqual([
      [0, 3],
      [0, 3],
      [0, 3],
      [0, 3],
    ])
  })

  it('is stored where the broker has it already', async () => {
    const { sent, send } = laneThat([LOST, 46])
    expect(await send(1)).toEqual([{ status: 'fulfilled', value: { partition: 0, offset: null } }])
    await send(1)
    expect(sent.at(-1)).toEqual({ producerId: 1, baseSequence: 1, records: 1 })
  })

  it.each([45, 47, 59])(
    'begins a new series where the broker has forgotten the old one (error %i)',
    async (code) => {
      const { sent, send } = laneThat([0, code])
      await send(1)
      expect(statuses(await send(1))).toEqual(['fulfilled'])
      expect(sent).toEqual([
        { producerId: 1, baseSequence: 0, records: 1 },
        { producerId: 1, baseSequence: 1, records: 1 },
        { producerId: 2, baseSequence: 0, records: 1 },
      ])
    },
  )

  it('fails when time is up, and what comes after does not have its numbers', async () => {
    const { sent, send } = laneThat(
      Array.from({ length: 6 }, () => LOST),
      { deliveryTimeoutMs: 1_000 },
    )
    const [outcome] = await send(1)
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { code: 'PRODUCE_TIMEOUT', advice: expect.stringContaining('may be stored') as string },
    })
    while (sent.length < 6) await send(1)
    await send(1)
    const series = new Set(sent.map(({ producerId }) => producerId))
    expect(series.size).toBeGreaterThan(1)
    expect(sent.at(-1)!.producerId).toBeGreaterThan(sent[0]!.producerId)
  })

  it('is halved where it is too large, until the record that is too large stands alone', async () => {
    const { sent, send } = laneThat([10, 0, 10, 0, 10])
    const outcomes = await send(4)
    expect(sent.map(({ records }) => records)).toEqual([4, 2, 2, 1, 1])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
    expect(outcomes[3]).toMatchObject({ reason: { code: 'MESSAGE_TOO_LARGE' } })
  })

  it('fails at once where the broker refuses it', async () => {
    const { sent, send } = laneThat([29])
    expect(await send(1)).toMatchObject([{ status: 'rejected', reason: { code: 'KAFKA_AUTHORIZATION' } }])
    expect(statuses(await send(1))).toEqual(['fulfilled'])
    expect(sent.map(({ baseSequence }) => baseSequence)).toEqual([0, 0])
  })

  it('is sent whenever it was added: between two batches, or right behind the last', async () => {
    const { sent, lane } = laneThat([])
    const add = () => lane.add({ key: null, value: null, headers: [], timestampMs: 0 }, 50)
    await add()
    await add().then(() => Promise.all([add(), Promise.resolve().then(add)]))
    await lane.flush()
    expect(sent.reduce((sum, { records }) => sum + records, 0)).toBe(4)
  })
})
