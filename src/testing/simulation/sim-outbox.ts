import type { ColumnBatch } from '../../columns/column.ts'
import { messageOf, PipelineError } from '../../errors.ts'
import {
  type Clock,
  type GroupOffset,
  IDENTITY_HEADERS,
  type Outbox,
  type OutboxEpoch,
  type OutboxMarker,
  type OutboxMessage,
  type OutboxTask,
  type TopicEncoder,
  type TopicShape,
} from '../../ports.ts'
import { type Cell, cellOf } from './jsonl-encoder.ts'
import type { SimProcess } from './scheduler.ts'
import { groupKey, type GroupValue, type ProducerIdentity, REFUSED, type SimBroker } from './sim-broker.ts'

const RETRY_MS = 20
const MESSAGE_BYTES_MAX = 1_000_000
export const SIM_CLUSTER = 'simulated'

/** What an outbox must take care of, by name. A test takes one out at a time to show that it is needed. */
export interface OutboxCare {
  /** Earlier owners are fenced before the marker is read. */
  readonly fenceBeforeMarker: boolean
  /** A marker that a transaction may still change is not read. */
  readonly stableMarker: boolean
  /** The topics are read to where they ended when the reading began, also where a transaction is open before that. */
  readonly scanToTheEnd: boolean
  /** The marker is part of the transaction. */
  readonly markerInTransaction: boolean
  /** After an unknown end of a transaction nothing more is sent. */
  readonly stopInDoubt: boolean
}

export const EVERY_CARE: OutboxCare = {
  fenceBeforeMarker: true,
  stableMarker: true,
  scanToTheEnd: true,
  markerInTransaction: true,
  stopInDoubt: true,
}

/** One process's way to the simulated broker: the transactions as a careful client makes them. */
export class SimOutbox implements Outbox {
  readonly description = 'simulated broker'
  readonly messageBytesMax = MESSAGE_BYTES_MAX
  readonly #process: SimProcess
  readonly #broker: SimBroker
  readonly #clock: Clock
  readonly #care: OutboxCare

  constructor(process: SimProcess, broker: SimBroker, clock: Clock, care: OutboxCare = EVERY_CARE) {
    this.#process = process
    this.#broker = broker
    this.#clock = clock
    this.#care = care
  }

  async open(topics: readonly string[], shapes: readonly TopicShape[]): Promise<readonly TopicEncoder[]> {
    await this.#process.call('read', `topics ${topics.join(', ')}`, () => undefined)
    return shapes.map(jsonTopicEncoder)
  }

  async claim(pipeline: string, task: string): Promise<OutboxTask> {
    const id = `${pipeline}.${task}`
    const marker: GroupOffset = {
      clusterId: SIM_CLUSTER,
      groupId: `marker.${id}`,
      topic: 'markers',
      partition: 0,
      offset: '0',
    }
    const key = groupKey(marker)
    const readMarker = (): Promise<GroupValue | null> =>
      this.#patiently('read', `marker ${id}`, () => this.#broker.fetchOffset(key, this.#care.stableMarker))
    const early = this.#care.fenceBeforeMarker ? null : await readMarker()
    const identity = await this.#patiently('write', `init ${id}`, () => this.#broker.initProducerId(id))
    const value = this.#care.fenceBeforeMarker ? await readMarker() : early
    const producer = new SimProducer(this.#process, this.#broker, this.#clock, id, identity, key, this.#care)
    return {
      marker: parseMarker(value),
      findPublished: (life, epochs, names) => this.#scan(pipeline, task, life, epochs, names),
      publish: (epoch) => producer.publish(epoch),
      close: () => Promise.resolve(),
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #patiently<T>(kind: 'read' | 'write', label: string, request: () => T): Promise<T> {
    return patiently(this.#clock, () => this.#process.call(kind, label, request))
  }

  /** Reads each topic to where it ended when the scan began: what is open there must have come to its end first. */
  async #scan(
    pipeline: string,
    task: string,
    life: string,
    epochs: readonly number[],
    topics: readonly string[],
  ): Promise<ReadonlySet<number>> {
    const found = new Set<number>()
    for (const topic of topics) {
      const end = await this.#process.call('read', `end of ${topic}`, () => this.#broker.endOffset(topic))
      for (let next = 0; next < end; ) {
        const { messages, nextOffset } = await this.#process.call(
          'read',
          `scan ${topic} from ${next}`,
          () => this.#broker.fetchCommitted(topic, next),
          (result) => `${result.messages.length} messages`,
        )
        for (const message of messages) {
          const identity = identityOf(message)
          const isOurs = identity.pipeline === pipeline && identity.task === task && identity.life === life
          if (isOurs && epochs.includes(identity.epoch)) found.add(identity.epoch)
        }
        if (nextOffset === next && !this.#care.scanToTheEnd) break
        if (nextOffset === next) await this.#clock.sleep(RETRY_MS)
        next = nextOffset
      }
    }
    return found
  }
}

/** Again while the broker says "not now"; what becomes of an answer that was lost is the caller's to decide. */
async function patiently<T>(clock: Clock, request: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await request()
    } catch (error) {
      const code = error instanceof PipelineError ? error.code : null
      if (code !== REFUSED.concurrent && code !== REFUSED.unstable) throw error
    }
    await clock.sleep(RETRY_MS)
  }
}

/** Transactions of one life of a transactional id. After a request without an answer it is of no more use. */
class SimProducer {
  readonly #process: SimProcess
  readonly #broker: SimBroker
  readonly #clock: Clock
  readonly #id: string
  readonly #identity: ProducerIdentity
  readonly #markerKey: string
  readonly #care: OutboxCare
  readonly #sequences = new Map<string, number>()

  constructor(
    process: SimProcess,
    broker: SimBroker,
    clock: Clock,
    id: string,
    identity: ProducerIdentity,
    markerKey: string,
    care: OutboxCare,
  ) {
    this.#care = care
    this.#process = process
    this.#broker = broker
    this.#clock = clock
    this.#id = id
    this.#identity = identity
    this.#markerKey = markerKey
  }

  async publish({ incarnation, life, epoch, messages, groupOffset }: OutboxEpoch): Promise<void> {
    const value: GroupValue = { offset: String(epoch), metadata: `${incarnation}:${life}:${epoch}` }
    try {
      for (const [topic, own] of byTopic(messages)) {
        await this.#request(`add ${topic}`, () => this.#broker.addTopic(this.#id, this.#identity, topic))
        const sequence = this.#sequences.get(topic) ?? 0
        await this.#request(`produce ${own.length} to ${topic}`, () =>
          this.#broker.produce(this.#id, this.#identity, topic, sequence, own),
        )
        this.#sequences.set(topic, sequence + own.length)
      }
      if (this.#care.markerInTransaction) await this.#commitOffset(this.#markerKey, value)
      if (groupOffset !== null && groupOffset.clusterId === SIM_CLUSTER)
        await this.#commitOffset(groupKey(groupOffset), { offset: groupOffset.offset, metadata: '' })
    } catch (error) {
      throw await this.#giveUp(error)
    }
    try {
      await this.#end('commit')
    } catch (error) {
      if (!this.#care.stopInDoubt && !isFenced(error))
        return this.publish({ incarnation, life, epoch, messages, groupOffset })
      throw translate(error)
    }
    if (this.#care.markerInTransaction) return
    await this.#request('plain offset', () => this.#broker.commitPlainOffset(this.#markerKey, value)).catch(
      (error: unknown) => {
        throw translate(error)
      },
    )
  }

  #commitOffset(key: string, value: GroupValue): Promise<void> {
    return this.#request(`offset ${value.metadata}`, () =>
      this.#broker.commitOffset(this.#id, this.#identity, key, value),
    )
  }

  #end(outcome: 'commit' | 'abort'): Promise<void> {
    return this.#request(outcome, () => this.#broker.endTransaction(this.#id, this.#identity, outcome))
  }

  #request(label: string, execute: () => void): Promise<void> {
    return patiently(this.#clock, () => this.#process.call('write', `${this.#id}: ${label}`, execute))
  }

  /** What is known not to have been done may be tried again in a transaction of its own, once this one is known to be aborted. */
  async #giveUp(error: unknown): Promise<unknown> {
    if (!isRefusedForNow(error)) return translate(error)
    try {
      await this.#end('abort')
    } catch (failure) {
      const began = !(failure instanceof PipelineError) || failure.code !== REFUSED.state
      if (began) return translate(failure)
    }
    return error
  }
}

/** The broker, or the network, has said that nothing was done. */
function isRefusedForNow(error: unknown): boolean {
  return (
    error instanceof PipelineError && (error.code === 'SIM_UNAVAILABLE' || error.code === REFUSED.concurrent)
  )
}

function isFenced(error: unknown): boolean {
  return error instanceof PipelineError && error.code === REFUSED.fenced
}

function translate(error: unknown): unknown {
  if (!(error instanceof PipelineError)) return error
  if (error.code === REFUSED.fenced)
    return new PipelineError('OUTBOX_FENCED', error.message, { cause: error })
  const unknown = ['STORE_AMBIGUOUS', 'SIM_UNAVAILABLE', REFUSED.state, REFUSED.unknownId, REFUSED.sequence]
  return unknown.includes(error.code)
    ? new PipelineError('OUTBOX_IN_DOUBT', messageOf(error), { cause: error })
    : error
}

function byTopic(messages: readonly OutboxMessage[]): ReadonlyMap<string, readonly OutboxMessage[]> {
  const topics = new Map<string, OutboxMessage[]>()
  for (const message of messages) {
    const own = topics.get(message.topic) ?? []
    topics.set(message.topic, own)
    own.push(message)
  }
  return topics
}

function parseMarker(value: GroupValue | null): OutboxMarker | null {
  const match = /^(\d+):([^:]*):(\d+)$/.exec(value?.metadata ?? '')
  if (match === null) return null
  return { incarnation: Number(match[1]), life: match[2]!, epoch: Number(match[3]) }
}

export interface SimMessageIdentity {
  readonly pipeline: string
  readonly incarnation: number
  readonly life: string
  readonly task: string
  readonly epoch: number
  readonly index: number
}

/** Whose a message is, by its headers. */
export function identityOf(message: OutboxMessage): SimMessageIdentity {
  const text = (name: string): string => textHeaderOf(message, name) ?? ''
  return {
    pipeline: text(IDENTITY_HEADERS.pipeline),
    incarnation: Number(text(IDENTITY_HEADERS.incarnation)),
    life: text(IDENTITY_HEADERS.life),
    task: text(IDENTITY_HEADERS.task),
    epoch: Number(text(IDENTITY_HEADERS.epoch)),
    index: Number(text(IDENTITY_HEADERS.index)),
  }
}

/** The last header of this name, as text. */
export function textHeaderOf({ headers }: OutboxMessage, name: string): string | null {
  const header = headers.findLast(({ key }) => key === name)
  return header === undefined || header.value === null ? null : utf8.decode(header.value)
}

/** Key and value as JSON that says exactly which value it is. */
function jsonTopicEncoder({ keyFields, fields }: TopicShape): TopicEncoder {
  const cells = (batch: ColumnBatch, row: number, names: TopicShape['fields']): Uint8Array => {
    const entries = names.map(({ name }): [string, Cell] => {
      const column = batch.columns.find(({ field }) => field.name === name)
      if (column === undefined) throw new Error(`the batch has no column ${name}`)
      return [name, cellOf(column, row)]
    })
    return new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)))
  }
  return {
    encode: (batch, row) => ({ key: cells(batch, row, keyFields), value: cells(batch, row, fields) }),
    encodeKey: (batch, row) => cells(batch, row, keyFields),
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
