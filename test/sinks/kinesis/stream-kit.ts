import avsc from 'avsc'
import { KinesisOutbox } from '../../../sinks/kinesis/kinesis-outbox.ts'
import type { StreamContent } from '../../../sinks/kinesis/content.ts'
import { letterContent } from '../../../sinks/kinesis/letter-content.ts'
import { DEAD_LETTER_HEADERS } from '../../../src/engine/dead-letter-messages.ts'
import { textHeader } from '../../../src/engine/message-identity.ts'
import type { PipelineError } from '../../../src/errors.ts'
import type { KinesisApi, PutEntry, PutOutcome, WireRecord } from '../../../src/kinesis/api.ts'
import type { OutboxEpoch, SchemaRegistry, SourceWorld } from '../../../src/ports.ts'
import { unavailable } from '../../kinesis/fake-faults.ts'
import { FakeKinesis } from '../../kinesis/fake-kinesis.ts'
import { IMPATIENT, WORLD } from '../../support/world.ts'
import { epochOf } from '../topic/outbox-kit.ts'

/** What a request comes to: the outcome of each entry, and whether its answer arrives. */
export interface Fate {
  /** Entries that are refused, with this code. */
  readonly refused?: ReadonlyMap<number, string>
  /** Thrown in place of an answer; what is not refused is stored all the same. */
  readonly lost?: boolean
  /** Thrown before anything is stored. */
  readonly failure?: PipelineError
}

/** A Kinesis in which a test says of each request what becomes of which entry, and that keeps what is put in one order for all shards. */
export class TestStreams extends FakeKinesis {
  requests = 0
  /** What happens to a request. */
  fateOf: (entries: readonly PutEntry[], stream: string) => Fate = () => ({})
  readonly #stored: (PutEntry & { readonly stream: string })[] = []

  constructor(streams: readonly string[]) {
    super({ clock: IMPATIENT })
    for (const stream of streams) this.addStream(stream)
  }

  in(stream: string): readonly PutEntry[] {
    return this.#stored.filter((entry) => entry.stream === stream)
  }

  override async putRecords(stream: string, entries: readonly PutEntry[]): Promise<readonly PutOutcome[]> {
    this.requests++
    const { refused, lost, failure } = this.fateOf(entries, stream)
    if (failure !== undefined) throw failure
    const outcomes = entries.map((entry, index): PutOutcome => {
      const code = refused?.get(index)
      if (code !== undefined) return { kind: 'refused', code, message: 'of a test' }
      this.#stored.push({ ...entry, stream })
      return { kind: 'stored', ...this.put(stream, entry.data, entry) }
    })
    if (lost === true) throw unavailable()
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
  return new KinesisOutbox({ kinesis: {}, world, content, createStreams }, streams)
}

/** Dead letters of these keys, as the engine makes them. */
export function lettersOf(epoch: number, keys: readonly string[], stream = 'dead'): OutboxEpoch {
  const plain = epochOf({ pipeline: 'taxi', task: 'trips-3' }, stream, epoch, keys)
  const names = Object.values(DEAD_LETTER_HEADERS).filter((name) => !/stack|letter|schema/.test(name))
  const said = names.map((name) => textHeader(name, '0'))
  return {
    ...plain,
    messages: plain.messages.map((message) => ({ ...message, headers: [...said, ...message.headers] })),
  }
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

/** All records of a stream: those of a shard behind those of its parents. */
export async function recordsOf(api: KinesisApi, stream: string): Promise<readonly WireRecord[]> {
  const records: WireRecord[] = []
  // A shard has a higher number than those that it was made of.
  for (const { shardId } of (await api.listShards(stream)).toSorted((a, b) =>
    a.shardId < b.shardId ? -1 : 1,
  )) {
    const place = { stream, shardId }
    let iterator: string | null = await api.shardIterator(place, { kind: 'trim-horizon' })
    while (iterator !== null) {
      const answer: Awaited<ReturnType<KinesisApi['getRecords']>> = await api.getRecords(iterator, 10_000)
      records.push(...answer.records)
      iterator = answer.millisBehindLatest === 0 ? null : answer.nextIterator
    }
  }
  return records
}
