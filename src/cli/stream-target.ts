import { createHash } from 'node:crypto'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { PipelineError } from '../errors.ts'
import type { KinesisApi, StreamFacts } from '../kinesis/api.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { counted, countText } from './format.ts'
import type { SendTarget } from './send-target.ts'
import { StreamSender } from './stream-sender.ts'
import type { Terminal } from './terminal.ts'

export interface StreamTargetOptions {
  readonly stream: string
  /** Where it is missing. */
  readonly createStream: boolean
  /** Of a new stream; null: as many as the recording has partitions. */
  readonly shards: number | null
  readonly partitions: 'keep' | 'hash'
  /** Several records of a shard in one, as the Kinesis Producer Library does: all of a shard then keep their order. */
  readonly aggregate: boolean
}

/** Of a partition key, in characters. */
const KEY_LENGTH_MAX = 256
/** What readers of a stream add to its records: the stream has it already. */
const OWN_HEADERS = 'kinesis.'
const EXPLICIT_HASH_KEY = 'kinesis.explicit_hash_key'
const NOTHING = new Uint8Array(0)
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What of the records a stream cannot hold. */
interface Losses {
  headers: number
  nullKeys: number
  nullValues: number
  binaryKeys: number
}

/** A Kinesis stream: each record is stored at least once. */
export class StreamTarget implements SendTarget {
  readonly #options: StreamTargetOptions
  readonly #api: KinesisApi
  readonly #sender: StreamSender
  readonly #losses: Losses = { headers: 0, nullKeys: 0, nullValues: 0, binaryKeys: 0 }
  #recordBytesMax = 0
  /** By which a record gets to a shard: the first hash key of each open one, in their order. */
  #hashKeys: readonly string[] = []

  constructor(api: KinesisApi, options: StreamTargetOptions) {
    this.#api = api
    this.#options = options
    const { stream, aggregate } = options
    this.#sender = new StreamSender({ api, stream, aggregate, clock: systemClock, entropy: systemEntropy })
  }

  get description(): string {
    return `the stream ${this.#options.stream}, ${this.#api.description},`
  }

  async open(partitions: number, terminal: Terminal): Promise<void> {
    const { stream, partitions: how } = this.#options
    const facts = await this.#find(partitions, terminal)
    this.#recordBytesMax = facts.recordBytesMax
    if (how === 'hash' && !this.#options.aggregate) return
    const shards = (await this.#api.listShards(stream)).filter(({ isClosed }) => !isClosed)
    const starts = shards.map(({ hashKeyStart }) => BigInt(hashKeyStart))
    this.#hashKeys = starts.sort((a, b) => (a < b ? -1 : 1)).map(String)
  }

  ready(): Promise<void> {
    return this.#sender.ready()
  }

  send(record: RawRecord): Promise<void> {
    const { value, partition, headers } = record
    const key = this.#keyOf(record)
    if (value === null) this.#losses.nullValues += 1
    if (headers.some((header) => !header.key.startsWith(OWN_HEADERS))) this.#losses.headers += 1
    const data = value ?? NOTHING
    // Without a key, a name that is used once: Kinesis spreads records by what the key hashes to.
    const partitionKey = key ?? systemEntropy.nonce()
    const bytes = data.length + new TextEncoder().encode(partitionKey).length
    if (partitionKey.length > KEY_LENGTH_MAX || bytes > this.#recordBytesMax) {
      throw unsendable(record, partitionKey, bytes, this.#recordBytesMax)
    }
    const { partitions, aggregate } = this.#options
    const recorded = recordedHashKey(record)
    let hashKey = partitions === 'keep' ? this.#hashKeys[partition % this.#hashKeys.length] : recorded
    // What stands in one record has one hash key, so that no reader takes a part of it for that of another shard.
    if (aggregate && partitions === 'hash') hashKey = this.#shardOf(recorded ?? hashOf(partitionKey))
    const entry = { partitionKey, data, ...(hashKey === undefined ? {} : { explicitHashKey: hashKey }) }
    return this.#sender.send(entry, aggregate ? hashKey! : key)
  }

  /** The first hash key of the shard that has this one. */
  #shardOf(hashKey: string): string {
    const hash = BigInt(hashKey)
    return this.#hashKeys.findLast((start) => BigInt(start) <= hash) ?? this.#hashKeys[0]!
  }

  flush(): Promise<void> {
    return this.#sender.flush()
  }

  progress(): string {
    const { throttled } = this.#sender
    return throttled === 0 ? '' : `${countText(throttled)} throttled`
  }

  async report({ out, err }: Terminal): Promise<void> {
    const { throttled, repeated, storedEntries } = this.#sender
    if (this.#options.aggregate)
      await out.line(`they are in ${counted(storedEntries, 'record')} of the stream`)
    if (throttled > 0) {
      const advice = 'more shards, or a lower --rate, spare it that'
      await out.line(`${countText(throttled)} times Kinesis had no room, and it was put again: ${advice}`)
    }
    if (repeated > 0) await out.line(`${countText(repeated)} times a record was put again after a failure`)
    const { overtaken } = this.#sender
    if (!this.#options.aggregate && overtaken > 0) {
      const advice = 'a watermark may find them late. --aggregate keeps the order of each shard'
      await err.line(
        `${err.style('yellow', '!')} ${counted(overtaken, 'record')} came behind others that were sent later, of other keys: ${advice}.`,
      )
    }
    for (const line of lossTexts(this.#losses)) await err.line(`${err.style('yellow', '!')} ${line}`)
  }

  async close(): Promise<void> {
    this.#api.close()
  }

  async #find(partitions: number, { out }: Terminal): Promise<StreamFacts> {
    const { stream, createStream, shards } = this.#options
    try {
      return await this.#api.describeStream(stream)
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'STREAM_NOT_FOUND') throw error
      if (!createStream) {
        throw new PipelineError(error.code, error.message, {
          cause: error,
          advice: 'Check the name, the region and the endpoint, or have it made: --create-stream.',
        })
      }
    }
    const count = shards ?? Math.max(1, partitions)
    await this.#api.createStream(stream, count)
    await out.line(`made the stream ${stream} with ${counted(count, 'shard')}`)
    return this.#api.describeStream(stream)
  }

  /** Null where it has none. */
  #keyOf({ key }: RawRecord): string | null {
    if (key === null || key.length === 0) {
      this.#losses.nullKeys += 1
      return null
    }
    try {
      return UTF8.decode(key)
    } catch {
      this.#losses.binaryKeys += 1
      return Buffer.from(key).toString('base64')
    }
  }
}

/** Of a record that was aggregated, and had one. */
function recordedHashKey({ headers }: RawRecord): string | undefined {
  const value = headers.find(({ key }) => key === EXPLICIT_HASH_KEY)?.value
  const text = value === null || value === undefined ? '' : new TextDecoder().decode(value)
  return /^\d{1,39}$/.test(text) ? text : undefined
}

/** By which Kinesis finds a shard: the MD5 of the key as a number. */
function hashOf(partitionKey: string): string {
  return BigInt(`0x${createHash('md5').update(partitionKey).digest('hex')}`).toString()
}

function unsendable(
  { topic, partition, offset }: RawRecord,
  partitionKey: string,
  bytes: number,
  bytesMax: number,
): PipelineError {
  const where = `record ${topic}/${partition}/${offset}`
  if (partitionKey.length > KEY_LENGTH_MAX) {
    const message = `${where} has a key of ${countText(partitionKey.length)} characters, and Kinesis takes ${KEY_LENGTH_MAX}`
    return new PipelineError('KEY_TOO_LONG', message, {
      advice: 'A stream cannot have it: produce the recording to a topic.',
    })
  }
  const message = `${where} has ${countText(bytes)} bytes, and the stream takes ${countText(bytesMax)}`
  return new PipelineError('RECORD_TOO_LARGE', message, {
    advice: 'Let the stream take larger records (up to 10 MiB), or produce the recording to a topic.',
  })
}

function lossTexts({ headers, nullKeys, nullValues, binaryKeys }: Losses): readonly string[] {
  return [
    headers > 0 ? `${counted(headers, 'record')} had headers, which Kinesis has no place for.` : '',
    nullKeys > 0 ? `${counted(nullKeys, 'record')} had no key: each got one of its own.` : '',
    nullValues > 0 ? `${counted(nullValues, 'tombstone')} became records of no bytes.` : '',
    binaryKeys > 0 ? `${counted(binaryKeys, 'record')} had a key that is no text: it is in base64.` : '',
  ].filter((text) => text !== '')
}
