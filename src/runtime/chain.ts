import { type ChainKeys, epochOfRecordKey } from '../checkpoint/keys.ts'
import { type ChainRecord, decodeRecord, encodeRecord } from '../checkpoint/record.ts'
import { decodeUtf8, encodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import { Backoff, isRetryable, type Retry, retrying } from './retry.ts'
import type { ProtocolRules } from './rules.ts'

/** 'lost': the number belongs to somebody else's record. */
export type PutOutcome = 'won' | 'lost'

/** Where the chains of an incarnation are, and how they are read and written. */
export interface ChainPlace {
  readonly store: ObjectStore
  readonly keys: ChainKeys
  readonly retry: Retry
  readonly rules: ProtocolRules
}

/** The epoch chain of one task in the store. */
export class Chain {
  readonly task: string
  readonly #store: ObjectStore
  readonly #keys: ChainKeys
  readonly #retry: Retry
  readonly #rules: ProtocolRules

  constructor({ store, keys, retry, rules }: ChainPlace, task: string) {
    this.task = task
    this.#store = store
    this.#keys = keys
    this.#retry = retry
    this.#rules = rules
  }

  /** Epochs of all records, ascending. */
  async list(): Promise<readonly number[]> {
    const prefix = this.#keys.chainPrefix(this.task)
    const objects = await retrying(this.#retry, `list ${prefix}`, () => this.#store.list(prefix))
    return objects.map(({ key }) => epochOfRecordKey(key)).filter((epoch) => epoch !== null)
  }

  async #head(): Promise<number> {
    return (await this.list()).at(-1) ?? -1
  }

  /** The newest record; null for an empty chain. */
  async readHead(): Promise<ChainRecord | null> {
    for (;;) {
      const head = await this.#head()
      if (head < 0) return null
      const record = await this.read(head)
      if (record !== null) return record
      // Its owner has come far beyond, and has deleted it. Where nobody has, something else deletes records.
      if ((await this.#head()) <= head) throw recordGone(this.task, head)
    }
  }

  /** Null where there is no such record. */
  async read(epoch: number): Promise<ChainRecord | null> {
    const key = this.#keys.record(this.task, epoch)
    const body = await retrying(this.#retry, `get ${key}`, () => this.#store.get(key))
    return body === null ? null : decodeRecord(key, decodeUtf8(body))
  }

  /** A record that a list has named: its absence is an error. */
  async readListed(epoch: number): Promise<ChainRecord> {
    const record = await this.read(epoch)
    if (record === null) throw recordGone(this.task, epoch)
    return record
  }

  /**
   * Puts a record if its number is free: the commit point. A put whose answer was lost may be told that the record
   * exists, so the nonce is compared; one whose outcome is unknown is read.
   */
  async put(record: ChainRecord): Promise<PutOutcome> {
    const key = this.#keys.record(this.task, record.epoch)
    const body = encodeUtf8(encodeRecord(record))
    const backoff = new Backoff(this.#retry, `put ${key}`)
    for (;;) {
      let result: 'created' | 'exists' | 'unknown'
      // Told that it exists, and yet it cannot be read: something deletes records.
      let failure: unknown = recordGone(this.task, record.epoch)
      try {
        result = await this.#store.putIfAbsent(key, body)
      } catch (error) {
        if (!isRetryable(error)) throw error
        failure = error
        result = 'unknown'
      }
      if (result === 'created') return 'won'
      if (result === 'exists' && !this.#rules.nonceOnExists) return 'lost'
      if (result === 'unknown' && !this.#rules.ambiguousPutIsRead) return 'won'
      const stored = await this.read(record.epoch)
      if (stored !== null) return stored.nonce === record.nonce ? 'won' : 'lost'
      // Whoever deletes old records has come far beyond this one.
      if (result === 'exists' && (await this.#head()) > record.epoch) return 'lost'
      // Not there: the put did not arrive, or has not yet. The same record may be put again.
      await backoff.wait(failure)
    }
  }
}

function recordGone(task: string, epoch: number): PipelineError {
  return new PipelineError('RECORD_GONE', `record ${epoch} of ${task} is there but cannot be read`, {
    advice: 'Something deletes objects below _millrace/. Stop it; then start again.',
  })
}
