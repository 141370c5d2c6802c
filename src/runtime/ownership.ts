import type { ChainRecord, DataRecord } from '../checkpoint/record.ts'
import { messageOf } from '../errors.ts'
import type { OutboxPublisher } from './outbox-publisher.ts'

/** A task that is ours: its claim, and what the chain said when the claim was its head. */
export interface Ownership {
  readonly claim: number
  /** Of the claim: files that we stage carry it. */
  readonly nonce: string
  /** The newest data record; null for a chain without work. */
  readonly last: DataRecord | null
  /** The newest part of the chain, ascending: back to the newest data record and everything that may be unpublished. */
  readonly recordsRead: readonly ChainRecord[]
  /** Null where the task writes to no outside topic. */
  readonly outbox: OutboxPublisher | null
}

/** Another owner has the task: this one stops, drops its work and deletes nothing. */
export class OwnershipLost extends Error {
  constructor(task: string) {
    super(`another process has taken over ${task}`)
    this.name = 'OwnershipLost'
  }
}

/** A transaction of the task ended in nobody knows what: its work is dropped, and only a new claim finds out. */
export class InDoubt extends Error {
  constructor(task: string, cause: unknown) {
    super(`whether the last transaction of ${task} was committed is not known: ${messageOf(cause)}`, {
      cause,
    })
    this.name = 'InDoubt'
  }
}
