import { PipelineError } from '../../src/errors.ts'
import type { FaultContext, KafkaClient, RawRequest, TopicPartition } from '../../src/kafka/client.ts'
import { encodeTransactionalBatch } from '../../src/kafka/record-batch.ts'
import {
  addOffsetsRequest,
  addPartitionsRequest,
  endTxnRequest,
  type PartitionError,
  type ProducedBatch,
  produceRequest,
  type ProducerIdentity,
  type TransactionalOffset,
  txnOffsetCommitRequest,
} from '../../src/kafka/transaction-requests.ts'
import type { SourceWorld } from '../../src/ports.ts'
import { type Answer, attempt, worstOf } from './attempt.ts'
import { CoordinatorCalls, isRefusal } from './coordinator-calls.ts'
import { nextRound, type PlacedBatch } from './placement.ts'
import type { TopicDirectory } from './topic-directory.ts'
import { fenced, inDoubt, transactionFault, type Verdict, verdictOf } from './transaction-verdict.ts'
import { Tries } from './tries.ts'

export interface TransactionalProducerOptions {
  readonly client: KafkaClient
  readonly directory: TopicDirectory
  readonly world: SourceWorld
  readonly identity: ProducerIdentity
  readonly transactionTimeoutMs: number
}

/** Offsets that a transaction commits. */
export interface GroupOffsets {
  readonly groupId: string
  readonly offsets: readonly TransactionalOffset[]
  /** Where the brokers refuse them, the transaction goes on without. */
  readonly isOptional: boolean
}

/** How long a transaction is begun, before the caller is told to come back: nothing has been written by then. */
const BEGIN_LIMIT_MS = 5_000
/** Of the transaction's time: how long records are tried to be written, and then its end. */
const WRITE_SHARE = 0.5
const END_SHARE = 0.4
const OPTIONAL_LIMIT_MS = 1_000
const REQUEST_BYTES_MAX = 8 * 1024 * 1024

/**
 * The transactions of one producer identity, one after the other, by requests of our own: kafkajs's producer pauses 300 ms where two transactions
 * follow each other closely, resends after failures whose outcome is not known, and has connections of its own for each task.
 *
 * Where a failure leaves nothing behind it, the error is retryable and `commit` may be called again. Everything else ends the producer:
 * OUTBOX_FENCED, OUTBOX_IN_DOUBT, or what waiting does not mend.
 */
export class TransactionalProducer {
  readonly #options: TransactionalProducerOptions
  readonly #coordinator: CoordinatorCalls
  readonly #groups = new Map<string, CoordinatorCalls>()
  /** Of the next record of a partition. */
  readonly #sequences = new Map<string, number>()
  /** When the coordinator may have begun to count the time of the open transaction; null where none is open. */
  #openSinceMs: number | null = null
  #ended: PipelineError | null = null

  constructor(options: TransactionalProducerOptions) {
    this.#options = options
    this.#coordinator = new CoordinatorCalls(options.client, options.identity.transactionalId, 'transaction')
  }

  /** One transaction. `what` says for messages what it is: 'publish epoch 7 of trips-3'. */
  async commit(
    batches: readonly PlacedBatch[],
    groups: readonly GroupOffsets[],
    what: string,
  ): Promise<void> {
    if (this.#ended !== null) throw this.#ended
    const open = await this.#begin(batches, groups, what)
    try {
      await this.#write(batches, what)
      for (const group of open) await this.#commitOffsets(group, what)
    } catch (error) {
      throw this.#end(error, 'abort')
    }
    await this.#commitTransaction(what)
    this.#openSinceMs = null
  }

  /** Gives the groups that are part of the transaction. */
  async #begin(
    batches: readonly PlacedBatch[],
    groups: readonly GroupOffsets[],
    what: string,
  ): Promise<readonly GroupOffsets[]> {
    const { identity, world } = this.#options
    this.#openSinceMs ??= world.clock.nowMs()
    const partitions = distinct(batches)
    await this.#beginning(what, () =>
      this.#toCoordinator(addPartitionsRequest(identity, partitions), what, worstOf),
    )
    const open: GroupOffsets[] = []
    for (const group of groups) {
      const { groupId, isOptional } = group
      const add = () => this.#toCoordinator(addOffsetsRequest(identity, groupId), what, codeOnly)
      if (!isOptional) await this.#beginning(what, add)
      else if (!(await this.#optional(groupId, add))) continue
      open.push(group)
    }
    return open
  }

  /** A step before anything is written. */
  async #beginning(what: string, step: () => Promise<Answer>): Promise<void> {
    const tries = new Tries(this.#options.world, BEGIN_LIMIT_MS)
    for (;;) {
      const result = await attempt(step)
      if (result.verdict === 'done') return
      const { verdict, error } = result
      if (verdict !== 'again') throw this.#end(this.#explain(verdict, error, what), 'abort')
      if (await tries.more()) continue
      throw error.retryable
        ? error
        : new PipelineError(error.code, error.message, { retryable: true, cause: error })
    }
  }

  /** False where it failed: the log says so, and nothing else comes of it. A fence is found by the next step. */
  async #optional(groupId: string, step: () => Promise<Answer>): Promise<boolean> {
    const { world } = this.#options
    const tries = new Tries(world, OPTIONAL_LIMIT_MS)
    for (;;) {
      const result = await attempt(step)
      if (result.verdict === 'done') return true
      if (result.verdict === 'again' && (await tries.more())) continue
      world.log.warn(
        { group: groupId, error: result.error.message },
        'the group does not show what is published',
      )
      return false
    }
  }

  /** Sends a batch until it is known to be stored: again with the same sequence number, which the broker recognises. */
  async #write(batches: readonly PlacedBatch[], what: string): Promise<void> {
    const { directory, world, transactionTimeoutMs } = this.#options
    const tries = new Tries(world, transactionTimeoutMs * WRITE_SHARE)
    for (let left = batches; left.length > 0; ) {
      const { round, rest } = nextRound(left, REQUEST_BYTES_MAX)
      left = rest
      for (
        let open: readonly ProducedBatch[] = round.map((batch) => this.#encode(batch));
        open.length > 0;
      ) {
        const outcome = await this.#sendRound(open, what)
        open = outcome.again
        if (open.length === 0) break
        if (!(await tries.more()))
          throw inDoubt(what, `the brokers do not take its records: ${outcome.reason}`)
        await directory.refresh().catch(() => undefined)
      }
    }
  }

  #encode({ topic, partition, records }: PlacedBatch): ProducedBatch {
    const { identity, world } = this.#options
    const place = `${topic}/${partition}`
    const baseSequence = this.#sequences.get(place) ?? 0
    const batch = encodeTransactionalBatch(records, { ...identity, baseSequence }, world.clock.nowMs())
    // Sequence numbers are int32, and begin again at 0.
    this.#sequences.set(place, (baseSequence + records.length) % 2 ** 31)
    return { topic, partition, batch }
  }

  /** One request to each leader. Gives those that are to be sent again, and why. */
  async #sendRound(
    batches: readonly ProducedBatch[],
    what: string,
  ): Promise<{ readonly again: readonly ProducedBatch[]; readonly reason: string }> {
    const byLeader = new Map<number, ProducedBatch[]>()
    for (const batch of batches) {
      const leader = this.#options.directory.leader(batch.topic, batch.partition)
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), batch])
    }
    const again: ProducedBatch[] = []
    let reason = 'no leader'
    const answers = [...byLeader].map(async ([leader, listed]) => {
      if (leader < 0) return again.push(...listed)
      const failures = await this.#produce(leader, listed, what)
      for (const { batch, why } of failures) {
        again.push(batch)
        reason = why
      }
      return again.length
    })
    // All of them: nothing is to be on its way when the transaction is given up.
    const settled = await Promise.allSettled(answers)
    const failure = settled.find((result) => result.status === 'rejected')
    if (failure !== undefined) throw failure.reason
    return { again, reason }
  }

  async #produce(
    leader: number,
    batches: readonly ProducedBatch[],
    what: string,
  ): Promise<readonly { readonly batch: ProducedBatch; readonly why: string }[]> {
    const { client, identity } = this.#options
    const request = produceRequest(identity.transactionalId, batches, client.options.requestTimeoutMs)
    let answers: readonly PartitionError[]
    try {
      answers = await client.send(leader, request, { what })
    } catch (error) {
      if (!(error instanceof PipelineError) || !error.retryable) throw error
      return batches.map((batch) => ({ batch, why: error.message }))
    }
    return batches.flatMap((batch) => {
      const { topic, partition } = batch
      const answer = answers.find((one) => one.topic === topic && one.partition === partition)
      const code = answer?.errorCode ?? -1
      const verdict = verdictOf(code)
      if (verdict === 'done') return []
      const error = transactionFault(code, { what, topic }, answer?.detail)
      if (verdict !== 'again') throw this.#explain(verdict, error, what)
      return [{ batch, why: error.message }]
    })
  }

  async #commitOffsets({ groupId, offsets, isOptional }: GroupOffsets, what: string): Promise<void> {
    const { client, identity, world, transactionTimeoutMs } = this.#options
    const calls = this.#groups.get(groupId) ?? new CoordinatorCalls(client, groupId, 'group')
    this.#groups.set(groupId, calls)
    const context: FaultContext = { what, groupId, topic: offsets[0]!.topic }
    const step = async (): Promise<Answer> => {
      const request = txnOffsetCommitRequest(identity, groupId, offsets)
      const errors = await calls.send(request, context, (all) => isRefusal(worstOf(all)?.errorCode ?? 0))
      return { code: worstOf(errors)?.errorCode ?? 0, context }
    }
    if (isOptional) {
      await this.#optional(groupId, step)
      return
    }
    const tries = new Tries(world, transactionTimeoutMs * WRITE_SHARE)
    for (;;) {
      const result = await attempt(step)
      if (result.verdict === 'done') return
      const { verdict, error } = result
      if (verdict !== 'again') throw this.#explain(verdict, error, what)
      if (!(await tries.more())) throw inDoubt(what, `its marker cannot be written: ${error.message}`)
    }
  }

  /** A commit whose answer was lost is asked for again: the coordinator gives the same answer, or says that the producer was fenced. */
  async #commitTransaction(what: string): Promise<void> {
    const { identity, world, transactionTimeoutMs } = this.#options
    const tries = new Tries(world, transactionTimeoutMs * END_SHARE)
    let mayBeCommitted = false
    for (;;) {
      const result = await attempt(() =>
        this.#toCoordinator(endTxnRequest(identity, 'commit'), what, codeOnly),
      )
      if (result.verdict === 'done') return
      const { verdict, error, isAnswer } = result
      if (!isAnswer) mayBeCommitted = true
      if (verdict !== 'again') {
        const explained = this.#explain(verdict, error, what)
        const isDoubt = mayBeCommitted && explained.code === 'OUTBOX_FENCED'
        throw this.#end(isDoubt ? inDoubt(what, explained.message, error) : explained, 'nothing')
      }
      if (await tries.more()) continue
      throw this.#end(inDoubt(what, `the end of its transaction is not known: ${error.message}`), 'nothing')
    }
  }

  async #toCoordinator<T>(
    request: RawRequest<T>,
    what: string,
    outcomeOf: (answer: T) => Outcome | null,
  ): Promise<Answer> {
    const { transactionalId } = this.#options.identity
    const context: FaultContext = { what, transactionalId }
    const codeOf = (answer: T): number => outcomeOf(answer)?.errorCode ?? 0
    const answer = await this.#coordinator.send(request, context, (one) => isRefusal(codeOf(one)))
    const topic = outcomeOf(answer)?.topic
    return { code: codeOf(answer), context: topic === undefined ? context : { ...context, topic } }
  }

  /**
   * Our own coordinator fences us when a transaction runs out of time, by the same code as another owner does: then nobody else may have the
   * task, and a new claim is right.
   */
  #explain(verdict: Verdict, error: PipelineError, what: string): PipelineError {
    const { world, transactionTimeoutMs } = this.#options
    if (verdict === 'in-doubt') return inDoubt(what, error.message, error)
    if (verdict !== 'fenced') return error
    const openMs = world.clock.nowMs() - (this.#openSinceMs ?? Infinity)
    return openMs < transactionTimeoutMs
      ? fenced(error)
      : inDoubt(
          what,
          `its transaction was open for ${openMs} ms, longer than ${transactionTimeoutMs} ms`,
          error,
        )
  }

  /** Nothing more is sent under this identity, but the abort, which lets readers go on at once. */
  #end(error: unknown, then: 'abort' | 'nothing'): unknown {
    this.#ended =
      error instanceof PipelineError
        ? error
        : new PipelineError('OUTBOX_IN_DOUBT', 'the outbox has failed', { cause: error })
    // Not waited for: where it fails, the next owner's claim aborts.
    if (then === 'abort' && this.#ended.code !== 'OUTBOX_FENCED') void this.#abort()
    return error
  }

  async #abort(): Promise<void> {
    const request = endTxnRequest(this.#options.identity, 'abort')
    try {
      await attempt(() => this.#toCoordinator(request, 'abort a transaction', codeOnly))
    } catch {
      // Nobody waits for it.
    }
  }
}

/** What an answer comes to. */
interface Outcome {
  readonly errorCode: number
  readonly topic?: string
}

function codeOnly(errorCode: number): Outcome {
  return { errorCode }
}

function distinct(batches: readonly PlacedBatch[]): readonly TopicPartition[] {
  const places = new Map(
    batches.map(({ topic, partition }) => [`${topic}/${partition}`, { topic, partition }]),
  )
  return [...places.values()]
}
