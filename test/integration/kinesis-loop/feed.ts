import {
  KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  PutRecordsCommand,
  type PutRecordsRequestEntry,
  type Shard,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { aggregate } from 'aws-kinesis-agg'
import avsc from 'avsc'
import {
  CLOSING_AT_MS,
  comesTwice,
  EVENT_SCHEMA,
  type Event,
  eventOf,
  isCorrupt,
} from '../kafka-loop/events.ts'

export const STREAM = 'events'
/** Of one request: half a second of event time, which is less than what may be out of order. */
const EVENTS_IN_A_PUT = 25
/** A second copy comes so many events later, mostly in another request, and sometimes in another shard. */
const COPY_BEHIND = 600

export interface Written {
  /** `<number of the shard> <sequence number> <index in the aggregate, or ''>` */
  readonly place: string
  readonly n: number
}

export function kinesisClient(endpoint: string): KinesisClient {
  return new KinesisClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    requestHandler: new NodeHttpHandler(),
  })
}

interface Sent {
  readonly n: number
  readonly partitionKey: string
  readonly data: Buffer
}

/** Puts the events in their order, those of an account one after the other; every second request as aggregates of aws-kinesis-agg. */
export class StreamFeed {
  readonly written: Written[] = []
  readonly corrupt: Written[] = []
  count = 0
  readonly #client: KinesisClient
  readonly #schemaId: number
  readonly #type = avsc.Type.forSchema(EVENT_SCHEMA as unknown as avsc.Schema)

  constructor(client: KinesisClient, schemaId: number) {
    this.#client = client
    this.#schemaId = schemaId
  }

  async run(count: number, perSecond: number): Promise<void> {
    this.count = count
    const begun = performance.now()
    for (let from = 0; from < count + COPY_BEHIND; from += EVENTS_IN_A_PUT) {
      const sent: Sent[] = []
      for (let n = from; n < from + EVENTS_IN_A_PUT; n++) {
        if (n < count) sent.push(this.#sent(n))
        const copy = n - COPY_BEHIND
        if (copy >= 0 && copy < count && comesTwice(copy) && !isCorrupt(copy)) sent.push(this.#sent(copy))
      }
      await this.#put(sent, (from / EVENTS_IN_A_PUT) % 2 === 1)
      const aheadMs = (from / perSecond) * 1000 - (performance.now() - begun)
      if (aheadMs > 0) await new Promise((resolve) => setTimeout(resolve, aheadMs))
    }
    await this.#close()
  }

  #sent(n: number): Sent {
    const { at, account } = eventOf(n)
    if (isCorrupt(n)) return { n, partitionKey: `corrupt-${n}`, data: this.#framed(Buffer.alloc(11, 0xff)) }
    return { n, partitionKey: account ?? `unnamed-${n}`, data: this.#event({ n: BigInt(n), at, account }) }
  }

  #event({ n, at, account }: Event): Buffer {
    return this.#framed(this.#type.toBuffer({ n: Number(n), at, account }))
  }

  #framed(body: Buffer): Buffer {
    const frame = Buffer.alloc(5)
    frame.writeInt32BE(this.#schemaId, 1)
    return Buffer.concat([frame, body])
  }

  async #put(sent: readonly Sent[], isAggregated: boolean): Promise<void> {
    const groups = isAggregated ? byKey(sent) : sent.map((one) => [one])
    const entries = await Promise.all(groups.map((group) => entryOf(group, isAggregated)))
    await this.#putEntries(entries, groups, isAggregated)
  }

  async #putEntries(
    entries: readonly PutRecordsRequestEntry[],
    groups: readonly (readonly Sent[])[],
    isAggregated: boolean,
  ): Promise<void> {
    const { Records: records = [], FailedRecordCount: failed = 0 } = await this.#client.send(
      new PutRecordsCommand({ StreamName: STREAM, Records: [...entries] }),
    )
    if (failed > 0) throw new Error(`${failed} entries were refused: ${JSON.stringify(records)}`)
    for (const [i, { ShardId: shard, SequenceNumber: sequence }] of records.entries()) {
      for (const [index, { n }] of groups[i]!.entries()) {
        const place = `${Number(shard!.slice(-12))} ${sequence} ${isAggregated ? index : ''}`
        const list = n < this.count && isCorrupt(n) ? this.corrupt : this.written
        list.push({ place, n })
      }
    }
  }

  /** One in each open shard, a day after the rest. */
  async #close(): Promise<void> {
    const open = (await shardsOf(this.#client)).filter(isOpen)
    const groups = open.map((_, i): Sent[] => {
      const event = { n: BigInt(this.count + i), at: CLOSING_AT_MS, account: 'closing' }
      return [{ n: this.count + i, partitionKey: 'closing', data: this.#event(event) }]
    })
    const entries = open.map((shard, i) => ({
      PartitionKey: 'closing',
      ExplicitHashKey: shard.HashKeyRange!.StartingHashKey!,
      Data: groups[i]![0]!.data,
    }))
    await this.#putEntries(entries, groups, false)
  }
}

function byKey(sent: readonly Sent[]): Sent[][] {
  const groups = new Map<string, Sent[]>()
  for (const one of sent) groups.set(one.partitionKey, [...(groups.get(one.partitionKey) ?? []), one])
  return [...groups.values()]
}

async function entryOf(group: readonly Sent[], isAggregated: boolean): Promise<PutRecordsRequestEntry> {
  const [{ partitionKey, data }] = group as [Sent]
  if (!isAggregated) return { PartitionKey: partitionKey, Data: data }
  return new Promise((resolve, reject) => {
    aggregate(
      group.map(({ data, partitionKey }) => ({ data, partitionKey })),
      (encoded, done) => {
        resolve({ PartitionKey: partitionKey, Data: encoded.data })
        done()
      },
      () => {},
      reject,
    )
  })
}

async function shardsOf(client: KinesisClient): Promise<readonly Shard[]> {
  const { Shards: shards = [] } = await client.send(new ListShardsCommand({ StreamName: STREAM }))
  return shards
}

const isOpen = (shard: Shard): boolean => shard.SequenceNumberRange!.EndingSequenceNumber === undefined
const startOf = (shard: Shard): bigint => BigInt(shard.HashKeyRange!.StartingHashKey!)
const endOf = (shard: Shard): bigint => BigInt(shard.HashKeyRange!.EndingHashKey!)

/** Cuts the open shard `which` (modulo their number) in two. */
export async function split(client: KinesisClient, which: number): Promise<string> {
  const open = (await shardsOf(client)).filter(isOpen)
  const shard = open[which % open.length]!
  await client.send(
    new SplitShardCommand({
      StreamName: STREAM,
      ShardToSplit: shard.ShardId!,
      NewStartingHashKey: String((startOf(shard) + endOf(shard)) / 2n),
    }),
  )
  return `split ${shard.ShardId}`
}

/** Joins two open shards that are neighbours. */
export async function merge(client: KinesisClient, which: number): Promise<string> {
  const open = (await shardsOf(client)).filter(isOpen).sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1))
  const at = which % (open.length - 1)
  const [left, right] = [open[at]!, open[at + 1]!]
  await client.send(
    new MergeShardsCommand({
      StreamName: STREAM,
      ShardToMerge: left.ShardId!,
      AdjacentShardToMerge: right.ShardId!,
    }),
  )
  return `merge ${left.ShardId} and ${right.ShardId}`
}
