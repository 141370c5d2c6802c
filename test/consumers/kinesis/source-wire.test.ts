import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kinesis } from '../../../consumers/kinesis/index.ts'
import type { Source, SourcePartition } from '../../../src/ports.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'
import {
  clientOf,
  freshStream,
  type Resharder,
  resharder,
  type TestClient,
} from '../../kinesis/client-kit.ts'
import { findKinesis, KINESIS_CREDENTIALS } from '../../parts/kinesis.ts'
import { SILENT } from '../../support/world.ts'
import { aggregateOf, hashKeyOf } from './kpl-kit.ts'
import { readStream, StreamProgress, type StreamRow } from './stream-reader.ts'

const part = await findKinesis()
const KEYS = Array.from({ length: 10 }, (_, number) => `device-${number}`)
const within = <T>(promise: Promise<T>): Promise<T> => promise

describe.skipIf(part.kind === 'missing')(
  'a stream of a stand-in, read from its first shards to its last',
  () => {
    const endpoint = part.kind === 'ready' ? part.endpoint : ''
    let client: TestClient
    let shards: Resharder
    let stream: string
    const written: string[] = []

    /** Each key once as a plain record and twice in an aggregate, those of one shard together as the KPL has them. */
    async function write(): Promise<void> {
      const text = (key: string): Buffer => {
        written.push(`${key}:${written.length}`)
        return Buffer.from(written.at(-1)!)
      }
      const plain = KEYS.map((key) => ({ partitionKey: key, data: text(key) }))
      await client.api.putRecords(stream, plain)
      const open = (await client.api.listShards(stream)).filter(({ isClosed }) => !isClosed)
      const aggregates = open.map(({ hashKeyStart, hashKeyEnd }) => {
        const isOurs = (key: string): boolean =>
          hashKeyOf(key) >= BigInt(hashKeyStart) && hashKeyOf(key) <= BigInt(hashKeyEnd)
        const records = [...KEYS, ...KEYS]
          .filter(isOurs)
          .map((key) => ({ partitionKey: key, data: text(key) }))
        return { partitionKey: 'a', explicitHashKey: hashKeyStart, records }
      })
      const entries = aggregates.filter(({ records }) => records.length > 0)
      const outcomes = await client.api.putRecords(
        stream,
        entries.map(({ records, ...entry }) => ({ ...entry, data: aggregateOf(records) })),
      )
      expect(outcomes.every(({ kind }) => kind === 'stored')).toBe(true)
    }

    function open(): Source {
      const binding = kinesis({
        stream,
        endpoint,
        region: 'eu-west-1',
        credentials: KINESIS_CREDENTIALS,
        registry: { description: 'none', schemaById: async () => null },
        fetch: { intervalMs: 10, idleIntervalMs: 20 },
      })
      return binding.open({ clock: systemClock, entropy: systemEntropy, log: SILENT, acceptLoss: false })
    }

    beforeAll(async () => {
      client = clientOf(endpoint)
      shards = resharder(endpoint)
      stream = await freshStream(client.api, 2)
      await write()
      await shards.split(stream, 'shardId-000000000000')
      await write()
      await shards.merge(stream, 'shardId-000000000003', 'shardId-000000000001')
      await write()
    })
    afterAll(() => {
      client.api.close()
      shards.close()
    })

    const keyOf = (text: string): string => text.split(':')[0]!
    const expectAll = (rows: readonly StreamRow[]): void => {
      expect(rows.map(({ value }) => value).sort()).toEqual([...written].sort())
      for (const key of KEYS) {
        const ofKey = (texts: readonly string[]): readonly string[] =>
          texts.filter((text) => keyOf(text) === key)
        expect(ofKey(rows.map(({ value }) => value))).toEqual(ofKey(written))
      }
      expect(rows.map(({ key }) => key)).toEqual(rows.map(({ value }) => keyOf(value)))
    }

    it('gives each record once, and each key in its order, though the process is killed after every seventh record', async () => {
      const progress = new StreamProgress()
      for (let rows = 7; rows < written.length; rows += 7) {
        const source = open()
        await readStream({ source, progress, within, rowsMax: rows, recordsMax: 5 })
        await source.close()
      }
      const source = open()
      await readStream({ source, progress, within })
      expectAll(progress.rows)
      expect(Object.fromEntries(progress.ended)).toEqual({
        [`${stream}-000000000000`]: [`${stream}-000000000002`, `${stream}-000000000003`],
        [`${stream}-000000000001`]: [`${stream}-000000000004`],
        [`${stream}-000000000003`]: [`${stream}-000000000004`],
      })
      await source.close()
    })

    it('reads on through an UpdateShardCount, with which a stream scales, while it is read', async () => {
      const source = open()
      const progress = new StreamProgress()
      await readStream({ source, progress, within, rowsMax: 20 })
      const before = (await client.api.listShards(stream)).length
      const openShards = (await client.api.listShards(stream)).filter(({ isClosed }) => !isClosed).length
      await shards.scale(stream, openShards * 2)
      expect((await client.api.listShards(stream)).length).toBeGreaterThan(before)
      await write()
      const again = open()
      await readStream({ source: again, progress, within })
      expectAll(progress.rows)
      await Promise.all([source.close(), again.close()])
    })

    it('goes on from every position there is, also within an aggregate', async () => {
      const source = open()
      const whole = new StreamProgress()
      await readStream({ source, progress: whole, within })
      const again = async (partition: SourcePartition): Promise<void> => {
        const rows = whole.rows.filter(({ task }) => task === partition.id)
        const alone: Source = {
          description: 'one shard',
          partitions: async () => [{ ...partition, parents: [] }],
          open: (opened, position, parents) => source.open(opened, position, parents),
          close: async () => {},
        }
        for (const [index, { after }] of rows.entries()) {
          const progress = new StreamProgress()
          progress.positions.set(partition.id, after)
          await readStream({ source: alone, progress, within })
          expect(progress.rows.map(({ value, offset }) => [value, offset])).toEqual(
            rows.slice(index + 1).map(({ value, offset }) => [value, offset]),
          )
        }
      }
      await Promise.all((await source.partitions()).map(again))
      await source.close()
    })
  },
)
