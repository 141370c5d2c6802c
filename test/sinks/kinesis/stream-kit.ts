import avsc from 'avsc'
import { KinesisOutbox } from '../../../sinks/kinesis/kinesis-outbox.ts'
import type { StreamContent } from '../../../sinks/kinesis/content.ts'
import { letterContent } from '../../../sinks/kinesis/letter-content.ts'
import { PipelineError } from '../../../src/errors.ts'
import type { KinesisApi, PutEntry, PutOutcome, StreamFacts } from '../../../src/kinesis/api.ts'
import type { SchemaRegistry, SourceWorld } from '../../../src/ports.ts'
import { IMPATIENT, WORLD } from '../../support/world.ts'

export interface Stored {
  readonly partitionKey: string
  readonly data: Uint8Array
}

/** What a request comes to: the outcome of each entry, and whether its answer arrives. */
export interface Fate {
  /** Entries that are refused, with this code. */
  readonly refused?: ReadonlyMap<number, string>
  /** Thrown in place of an answer; what is not refused is stored all the same. */
  readonly lost?: boolean
  /** Thrown before anything is stored. */
  readonly failure?: PipelineError
}

/** Streams in memory that can be put into. */
export class TestStreams {
  readonly stored = new Map<string, Stored[]>()
  readonly created: string[] = []
  requests = 0
  recordBytesMax = 1_048_576
  /** What happens to a request. */
  fateOf: (entries: readonly PutEntry[], stream: string) => Fate = () => ({})

  constructor(streams: readonly string[]) {
    for (const stream of streams) this.stored.set(stream, [])
  }

  in(stream: string): readonly Stored[] {
    return this.stored.get(stream) ?? []
  }

  get api(): KinesisApi {
    const unused = (): never => {
      throw new Error('a sink does not read')
    }
    return {
      description: 'streams of a test',
      describeStream: async (stream) => this.#facts(stream),
      putRecords: async (stream, entries) => this.#put(stream, entries),
      createStream: async (stream, shards) => {
        this.created.push(`${stream}: ${shards}`)
        this.stored.set(stream, [])
      },
      close: () => {},
      listShards: unused,
      shardIterator: unused,
      getRecords: unused,
      registerConsumer: unused,
      deregisterConsumer: unused,
      subscribe: unused,
    }
  }

  #facts(stream: string): StreamFacts {
    if (!this.stored.has(stream)) throw new PipelineError('STREAM_NOT_FOUND', `no stream ${stream}`)
    return {
      stream,
      arn: `arn:aws:kinesis:eu-west-1:123456789012:stream/${stream}`,
      createdMs: 1,
      retentionMs: 86_400_000,
      openShards: 1,
      isOnDemand: false,
      recordBytesMax: this.recordBytesMax,
    }
  }

  #put(stream: string, entries: readonly PutEntry[]): readonly PutOutcome[] {
    this.requests++
    const { refused, lost, failure } = this.fateOf(entries, stream)
    if (failure !== undefined) throw failure
    const outcomes = entries.map(({ partitionKey, data }, index): PutOutcome => {
      const code = refused?.get(index)
      if (code !== undefined) return { kind: 'refused', code, message: 'of a test' }
      const records = this.stored.get(stream)!
      records.push({ partitionKey, data })
      return { kind: 'stored', shardId: 'shardId-000000000000', sequenceNumber: `${records.length}` }
    })
    if (lost === true) throw new PipelineError('KINESIS_UNAVAILABLE', 'no answer', { retryable: true })
    return outcomes
  }
}

/** Waits take no time, and a standstill is found at once where the clock is moved on. */
export const QUICK: SourceWorld = { ...WORLD, clock: IMPATIENT }

export function outboxOn(
  streams: TestStreams,
  content: StreamContent = letterContent,
  options: { readonly shards?: number; readonly world?: SourceWorld } = {},
): KinesisOutbox {
  const { shards, world = QUICK } = options
  const createStreams = shards === undefined ? null : { shards }
  return new KinesisOutbox({ kinesis: {}, world, content, createStreams }, streams.api)
}

/** A registry that takes whatever it is given. */
export class TestRegistry implements SchemaRegistry {
  readonly description = 'a registry of a test'
  readonly schemas: { readonly subject: string; readonly schema: string }[] = []

  async schemaById(id: number): Promise<string | null> {
    return this.schemas[id - 1]?.schema ?? null
  }

  async register(subject: string, schema: string): Promise<number> {
    const known = this.schemas.findIndex((one) => one.schema === schema)
    return known >= 0 ? known + 1 : this.schemas.push({ subject, schema })
  }

  /** With the library that others read with. Throws where a byte is left. */
  decode(framed: Uint8Array): Readonly<Record<string, unknown>> & { readonly _id: string } {
    const frame = Buffer.from(framed)
    const schema = JSON.parse(this.schemas[frame.readInt32BE(1) - 1]!.schema) as avsc.Schema
    return avsc.Type.forSchema(schema).fromBuffer(frame.subarray(5)) as never
  }
}
