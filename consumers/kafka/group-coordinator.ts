import type { TaskList } from './group-tasks.ts'

/** What the coordinator thinks of a member. What ends a membership, and what waiting may mend, is thrown. */
export type Verdict =
  | 'ok'
  /** The members are being gathered anew: join again. The member itself is known, and in the current generation. */
  | 'rebalance'
  /** Out of the group: the member was silent for longer than the session, or the group was deleted. */
  | 'unknown-member'
  /** The group has gone on to another generation without this member. */
  | 'stale-generation'

export interface MemberId {
  /** Given by the coordinator; '' before that. */
  readonly memberId: string
  readonly generation: number
}

export type JoinAnswer =
  | {
      readonly verdict: 'ok'
      readonly memberId: string
      readonly generation: number
      /** All members, where this one is to assign; else null. */
      readonly members: readonly JoinedMember[] | null
    }
  /** Come again under this id. */
  | { readonly verdict: 'member-id-required'; readonly memberId: string }
  | { readonly verdict: Exclude<Verdict, 'ok'> }

export interface JoinedMember {
  readonly memberId: string
  readonly subscription: Subscription
}

/** What a member says when it joins. */
export interface Subscription {
  /** What it runs, and the generation that gave it that. */
  readonly generation: number
  readonly owned: TaskList
  /** The topics that it wants, with as many partitions as it knows of. */
  readonly counts: ReadonlyMap<string, number>
}

/** What the leader gives a member. */
export interface GivenTasks {
  readonly tasks: TaskList
  /** All partitions of the source, as the leader knew them: so that all members agree on them. */
  readonly counts: ReadonlyMap<string, number>
  /** Some tasks are with nobody yet: their owners let them go, and another round follows soon. */
  readonly isMoving: boolean
}

export type SyncAnswer =
  | { readonly verdict: 'ok'; readonly given: GivenTasks }
  | { readonly verdict: Exclude<Verdict, 'ok'> }

export interface PartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}

/**
 * The coordinator of one group, wherever it is now. All calls throw PipelineError: retryable where it is moving, loading or out of
 * reach; else GROUP_MISMATCH, GROUP_INSTANCE_FENCED, KAFKA_AUTHORIZATION and the like.
 */
export interface GroupCoordinator {
  /** Answered when all members have joined: may take as long as the rebalance time-out. */
  join(memberId: string, subscription: Subscription): Promise<JoinAnswer>
  /** `given` by member id, from the leader; empty from the others. */
  sync(member: MemberId, given: ReadonlyMap<string, GivenTasks>): Promise<SyncAnswer>
  heartbeat(member: MemberId): Promise<Verdict>
  /** For display only. */
  commit(member: MemberId, offsets: readonly PartitionOffset[]): Promise<Verdict>
  /** A join or sync that is waiting fails at once, and so do later ones. */
  interrupt(): void
  leave(memberId: string): Promise<void>
}
