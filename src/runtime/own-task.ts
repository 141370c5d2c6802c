import type { Membership } from '../ports.ts'
import { messageOf, PipelineError } from '../errors.ts'
import type { Chain } from './chain.ts'
import { InDoubt, type Ownership, OwnershipLost } from './ownership.ts'
import { isRetryable } from './retry.ts'
import type { RunState } from './run-state.ts'
import type { StopScope } from './stop-scope.ts'
import { takeOver, type TaskSinks } from './takeover.ts'
import type { TaskContext } from './task-context.ts'

export interface OwnTaskOptions {
  readonly context: TaskContext
  readonly chain: Chain
  readonly sinks: TaskSinks
  readonly scope: StopScope
  readonly state: RunState
  /** Null where this process runs all tasks. */
  readonly membership: Membership | null
}

const RETAKE_MS_MIN = 100
const RETAKE_MS_MAX = 10_000

/**
 * Takes a task over and works on it, again and again for as long as it is ours. A task that is lost to another owner is taken again only when
 * the group says, after the loss, that it is still assigned to us: else two owners would take it from each other for ever. Without a group a loss
 * is for good, and is thrown.
 */
export async function ownTask(
  options: OwnTaskOptions,
  work: (ownership: Ownership) => Promise<void>,
): Promise<void> {
  const { context, chain, sinks, scope, state, membership } = options
  const { log, rules } = context
  for (let losses = 1; ; losses++) {
    let ownership: Ownership | null = null
    try {
      ownership = await takeOver(context, chain, sinks)
      await work(ownership)
      return
    } catch (thrown) {
      const error = await asLoss(context, chain, thrown)
      const isRevoked = scope.isStopping && !state.isStopping
      const fields = { task: chain.task, error: messageOf(error) }
      if (error instanceof InDoubt && rules.claimAfterDoubt) {
        if (isRevoked) return
        log.warn(fields, 'a transaction is in doubt: claiming the task again')
        if (membership === null && !(await isClaimOurs(context, chain))) throw new OwnershipLost(chain.task)
      } else if (error instanceof OwnershipLost || error instanceof InDoubt) {
        if (membership === null) throw error
        if (scope.isStopping) return
        log.warn(fields, 'the task was taken over')
      } else if (isRevoked && isRetryable(error)) {
        log.warn(fields, 'could not finish the open epoch: its next owner reads it again')
        return
      } else throw error
    } finally {
      await ownership?.outbox?.close()
    }
    if (membership !== null && !(await isAssigned(options, membership, losses))) return
  }
}

/** Waits until the group confirms that the task is ours; false where it is taken from us first. */
async function isAssigned(
  { context, scope, state }: OwnTaskOptions,
  membership: Membership,
  losses: number,
): Promise<boolean> {
  const { clock, entropy, rules } = context
  for (let tries = losses; ; tries++) {
    const limitMs = Math.min(RETAKE_MS_MAX, RETAKE_MS_MIN * 2 ** Math.min(tries, 10))
    await clock.sleep(entropy.random() * limitMs, context.retry.signal ?? undefined)
    if (scope.isStopping || state.isStopping) return false
    if (!rules.retakeOnlyIfConfirmed) return true
    // An answer may take as long as the group is away. (A merge's scope is not within that of the run.)
    const isConfirmed = await scope.orStop(state.scope.orStop(membership.confirm()))
    if (isConfirmed !== false) return isConfirmed === true && !scope.isStopping
  }
}

/**
 * A successor deletes what it no longer needs, and moves the tables on: to an owner that still looks at what it has listed, this says that
 * the task is another's.
 */
const OVERTAKEN: ReadonlySet<string> = new Set([
  'RECORD_GONE',
  'STATE_GONE',
  'MERGE_GAP',
  'CHAIN_GAP',
  'CHAIN_BEHIND',
])

async function asLoss(context: TaskContext, chain: Chain, error: unknown): Promise<unknown> {
  if (!(error instanceof PipelineError) || !OVERTAKEN.has(error.code)) return error
  return (await isClaimOurs(context, chain)) ? error : new OwnershipLost(chain.task)
}

/** Whether nobody has claimed the chain after us. Our claim itself may have been deleted, long ago: the newest record tells whose the chain is. */
async function isClaimOurs(context: TaskContext, chain: Chain): Promise<boolean> {
  const head = await chain.readHead()
  return head !== null && head.kind !== 'seal' && head.run === context.run
}
