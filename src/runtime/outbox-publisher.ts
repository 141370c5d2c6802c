import type { DataRecord } from '../checkpoint/record.ts'
import { decideOutboxRedo } from '../checkpoint/decide.ts'
import { decodeOutboxLines } from '../checkpoint/outbox-lines.ts'
import { PipelineError } from '../errors.ts'
import type { GroupOffset, Outbox, OutboxMarker, OutboxMessage, OutboxTask } from '../ports.ts'
import { Backoff, isRetryable, type Retry, retrying } from './retry.ts'
import { InDoubt } from './ownership.ts'
import { readStaged } from './staged-lines.ts'
import type { TaskContext } from './task-context.ts'

/** One epoch's messages. */
export interface OutboxPublication {
  readonly epoch: number
  readonly messages: readonly OutboxMessage[]
  readonly groupOffset: GroupOffset | null
}

/** Which life of the pipeline's state the epochs are of. */
type Life = Pick<OutboxMarker, 'incarnation' | 'life'>

/**
 * Publishes the messages of one task, an epoch at a time and in order, for as long as this process owns the task. When a transaction's outcome
 * is unknown, or somebody else has fenced us, it ends: only a new claim may go on.
 */
export class OutboxPublisher {
  readonly #task: string
  readonly #outbox: OutboxTask
  readonly #life: Life
  readonly #retry: Retry
  #last: Promise<void> = Promise.resolve()
  /** The newest epoch with messages that is known to be published; −1 for none of this incarnation. */
  #newest = -1

  constructor(task: string, outbox: OutboxTask, life: Life, retry: Retry) {
    this.#task = task
    this.#outbox = outbox
    this.#life = life
    this.#retry = retry
  }

  /** The newest epoch with messages that is known to be published: what the marker must at least say. */
  get marker(): number {
    return this.#newest
  }

  /** Resolves when the epoch is committed. After a failure nothing more is published. */
  publish(publication: OutboxPublication): Promise<void> {
    this.#last = this.#last.then(() => this.#publish(publication))
    this.#last.catch(() => {})
    return this.#last
  }

  /** Publishes what the records promise and the topics lack. Called once, when the claim is known to hold. */
  async redo(context: TaskContext, records: readonly DataRecord[]): Promise<void> {
    const { rules } = context
    const marker = this.#outbox.marker
    const decision = decideOutboxRedo(records, marker, this.#life.life, rules)
    this.#newest = decision.published
    let pending = decision.pending
    if (decision.isUnknown && pending.length > 0 && rules.scanWhenMarkerUnknown) {
      const topics = [...new Set(pending.flatMap((record) => record.outbox?.topics ?? []))]
      const epochs = pending.map((record) => record.epoch)
      const found = await retrying(
        this.#retry,
        `look for epochs of ${this.#task} in ${topics.join(', ')}`,
        () => this.#outbox.findPublished(this.#life.life, epochs, topics),
      )
      this.#newest = Math.max(this.#newest, ...found)
      pending = pending.filter((record) => !found.has(record.epoch))
    }
    for (const record of pending) {
      const body = await readStaged(context, record.outbox!.key)
      await this.publish({
        epoch: record.epoch,
        messages: decodeOutboxLines(body, record.outbox!.key),
        groupOffset: null,
      })
    }
  }

  async close(): Promise<void> {
    await this.#last.catch(() => {})
    await this.#outbox.close()
  }

  async #publish({ epoch, messages, groupOffset }: OutboxPublication): Promise<void> {
    if (messages.length === 0) return
    const backoff = new Backoff(this.#retry, `publish epoch ${epoch} of ${this.#task}`)
    for (;;) {
      try {
        await this.#outbox.publish({ ...this.#life, epoch, messages, groupOffset })
        this.#newest = epoch
        backoff.done()
        return
      } catch (error) {
        // A transaction that took too long is fenced too, and so is one that meets the late request of a crashed process.
        if (isAnyOf(error, 'OUTBOX_FENCED', 'OUTBOX_IN_DOUBT')) throw new InDoubt(this.#task, error)
        if (!isRetryable(error)) throw error
        await backoff.wait(error)
      }
    }
  }
}

/** Fences the earlier owners of the task's outbox. Comes after the claim, and before the chain is listed. */
export async function claimOutbox(
  context: TaskContext,
  outbox: Outbox | null,
  task: string,
): Promise<OutboxPublisher | null> {
  if (outbox === null) return null
  const { pipeline, incarnation, life, retry } = context
  const owned = await retrying(retry, `fence ${task} at ${outbox.description}`, () =>
    outbox.claim(pipeline, task),
  )
  return new OutboxPublisher(task, owned, { incarnation, life }, retry)
}

function isAnyOf(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof PipelineError && codes.includes(error.code)
}
