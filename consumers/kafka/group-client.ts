import { PipelineError } from '../../src/errors.ts'
import {
  type FaultContext,
  type KafkaClient,
  type Lane,
  protocolFault,
  type RawRequest,
} from '../../src/kafka/client.ts'
import type {
  GivenTasks,
  GroupCoordinator,
  JoinAnswer,
  MemberId,
  PartitionOffset,
  Subscription,
  SyncAnswer,
  Verdict,
} from './group-coordinator.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from './group-encoding.ts'
import {
  type GroupName,
  heartbeatRequest,
  joinGroupRequest,
  leaveGroupRequest,
  offsetCommitRequest,
  syncGroupRequest,
} from './group-requests.ts'

export interface GroupClientOptions extends GroupName {
  readonly client: KafkaClient
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
}

/**
 * The name of our assignment in the group, with the version of what its members tell each other. A program that has another one is
 * refused by the coordinator: a kind of consumer that is not ours, or a version that ours would not understand.
 */
const PROTOCOL = 'millrace-1'
/** Beyond what the coordinator may take: then the connection is at fault. */
const ANSWER_MARGIN_MS = 10_000

const CODE = {
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  illegalGeneration: 22,
  inconsistentProtocol: 23,
  invalidGroup: 24,
  unknownMember: 25,
  invalidSessionTimeout: 26,
  rebalance: 27,
  memberIdRequired: 79,
  groupFull: 81,
  fencedInstance: 82,
} as const

/**
 * The coordinator over the wire. A join and a sync wait at the broker until all members are there, and a broker answers the requests of a
 * connection in turn: so they have a lane of their own, and heartbeats are never behind them, nor behind a fetch.
 */
export class GroupClient implements GroupCoordinator {
  readonly #options: GroupClientOptions
  readonly #interrupted = new AbortController()
  /** Its node; null while it has to be looked for. */
  #node: number | null = null

  constructor(options: GroupClientOptions) {
    this.#options = options
  }

  async join(memberId: string, subscription: Subscription): Promise<JoinAnswer> {
    const { sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const request = joinGroupRequest({
      ...this.#name,
      memberId,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      protocol: PROTOCOL,
      subscription: encodeSubscription(subscription),
      timeoutMs: rebalanceTimeoutMs + ANSWER_MARGIN_MS,
    })
    const joined = await this.#untilInterrupted(this.#send(request, 'join', 'group'))
    if (joined.errorCode === CODE.memberIdRequired) {
      return { verdict: 'member-id-required', memberId: joined.memberId }
    }
    const verdict = this.#verdictOf(joined.errorCode, 'join')
    if (verdict !== 'ok') return { verdict }
    const { generation, leaderId, members } = joined
    const isLeader = leaderId === joined.memberId
    return {
      verdict,
      memberId: joined.memberId,
      generation,
      members: isLeader
        ? members.map(({ memberId, metadata }) => ({ memberId, subscription: decodeSubscription(metadata) }))
        : null,
    }
  }

  async sync(member: MemberId, given: ReadonlyMap<string, GivenTasks>): Promise<SyncAnswer> {
    const request = syncGroupRequest({
      ...this.#name,
      member,
      assignments: new Map([...given].map(([memberId, tasks]) => [memberId, encodeAssignment(tasks)])),
      timeoutMs: this.#options.rebalanceTimeoutMs + ANSWER_MARGIN_MS,
    })
    const { errorCode, assignment } = await this.#untilInterrupted(this.#send(request, 'join', 'group'))
    const verdict = this.#verdictOf(errorCode, 'join')
    return verdict === 'ok' ? { verdict, given: decodeAssignment(assignment) } : { verdict }
  }

  async heartbeat(member: MemberId): Promise<Verdict> {
    // So that another connection can be tried within the session.
    const timeoutMs = this.#options.sessionTimeoutMs / 3
    const request = heartbeatRequest(this.#name, member, timeoutMs)
    return this.#verdictOf(await this.#send(request, 'stay in'), 'stay in')
  }

  async commit(member: MemberId, offsets: readonly PartitionOffset[]): Promise<Verdict> {
    const code = await this.#send(offsetCommitRequest(this.#name, member, offsets), 'show offsets to')
    return this.#verdictOf(code, 'show offsets to')
  }

  async leave(memberId: string): Promise<void> {
    this.#verdictOf(await this.#send(leaveGroupRequest(this.#name, memberId), 'leave'), 'leave')
  }

  interrupt(): void {
    this.#interrupted.abort()
  }

  get #name(): GroupName {
    const { groupId, instanceId } = this.#options
    return { groupId, instanceId }
  }

  async #send<T>(request: RawRequest<T>, what: string, lane: Lane = 'default'): Promise<T> {
    const { client, groupId } = this.#options
    this.#node ??= await client.coordinator(groupId, 'group')
    try {
      return await client.send(this.#node, request, this.#context(what), lane)
    } catch (error) {
      // It may have moved.
      this.#node = null
      throw error
    }
  }

  #context(what: string): FaultContext {
    const { groupId } = this.#options
    return { what: `${what} group ${groupId}`, groupId }
  }

  /** Throws what is no verdict about the member. */
  #verdictOf(code: number, what: string): Verdict {
    switch (code) {
      case 0:
        return 'ok'
      case CODE.rebalance:
        return 'rebalance'
      case CODE.unknownMember:
        return 'unknown-member'
      case CODE.illegalGeneration:
        return 'stale-generation'
      case CODE.coordinatorNotAvailable:
      case CODE.notCoordinator:
        this.#node = null
        throw protocolFault(code, this.#context(what))
      default:
        throw refusalOf(code, this.#options) ?? protocolFault(code, this.#context(what))
    }
  }

  #untilInterrupted<T>(answer: Promise<T>): Promise<T> {
    const { signal } = this.#interrupted
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        const what = `no longer waits for group ${this.#options.groupId}`
        reject(new PipelineError('KAFKA_INTERRUPTED', what, { retryable: true }))
      }
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop)
      answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
    })
  }
}

/** What ends a membership for good. */
function refusalOf(
  code: number,
  { groupId, instanceId, sessionTimeoutMs }: GroupClientOptions,
): PipelineError | null {
  switch (code) {
    case CODE.inconsistentProtocol:
      return new PipelineError(
        'GROUP_MISMATCH',
        `consumer group ${groupId} is used by another kind of program`,
        {
          advice:
            'Give each pipeline a groupId of its own, that no other consumer uses. After an upgrade stop the processes of the old version first.',
        },
      )
    case CODE.invalidGroup:
      return new PipelineError(
        'GROUP_INVALID',
        `the broker takes ${JSON.stringify(groupId)} for no group id`,
        {
          advice: 'Choose a groupId that is not empty.',
        },
      )
    case CODE.invalidSessionTimeout:
      return new PipelineError(
        'GROUP_SESSION_TIMEOUT',
        `the broker refuses a session time-out of ${sessionTimeoutMs} ms`,
        {
          advice:
            'Choose a session time-out between the broker’s group.min.session.timeout.ms and group.max.session.timeout.ms.',
        },
      )
    case CODE.groupFull:
      return new PipelineError('GROUP_FULL', `consumer group ${groupId} takes no more members`, {
        advice: 'The broker’s group.max.size is reached: start fewer processes, or raise it.',
      })
    case CODE.fencedInstance:
      return new PipelineError(
        'GROUP_INSTANCE_FENCED',
        `another process is ${JSON.stringify(instanceId)} in consumer group ${groupId}`,
        { advice: 'Two processes have the same groupInstanceId: give each one of its own.' },
      )
    default:
      return null
  }
}
