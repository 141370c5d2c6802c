import { PipelineError } from '../errors.ts'
import type {
  Clock,
  Entropy,
  Log,
  Membership,
  MembershipListener,
  MembershipPlace,
  SourcePartition,
} from '../ports.ts'

/** In milliseconds, each by the clock of whoever measures it. */
export interface LeaseTimes {
  /** How often a member says that it is alive, and looks at what the others do. At most a third of `ttlMs`. */
  readonly heartbeatMs: number
  /** A member that has not been heard of for so long is out: others take its tasks. */
  readonly ttlMs: number
  /** How long a member may take to let tasks go that another asks for. Must be more than it takes to publish an epoch. */
  readonly releaseMs: number
  /** How often the source is asked for new partitions. */
  readonly refreshMs: number
}

export const LEASE_TIMES: LeaseTimes = {
  heartbeatMs: 5_000,
  ttlMs: 20_000,
  releaseMs: 30_000,
  refreshMs: 30_000,
}

/** What there is to hand out. */
export interface LeaseSource {
  /** All that are read, those that have ended and those whose parents have not ended among them. */
  partitions(place: MembershipPlace): Promise<readonly SourcePartition[]>
  /** One that is known here and no longer listed; null where it is none of this source. */
  partition(id: string): SourcePartition | null
}

export interface LeaseMembershipOptions {
  readonly source: LeaseSource
  /** Of the process, for people; a process that is started again under the name has its old tasks at once. Null: none. */
  readonly name: string | null
  readonly times: LeaseTimes
  readonly world: { readonly clock: Clock; readonly entropy: Entropy; readonly log: Log }
}

export class LeaseMembership implements Membership {
  readonly #options: LeaseMembershipOptions

  constructor(options: LeaseMembershipOptions) {
    this.#options = options
  }

  get description(): string {
    return this.#options.name === null ? 'leases' : `${this.#options.name} by leases`
  }

  join(mergeTasks: readonly string[], _listener: MembershipListener, place: MembershipPlace): Promise<void> {
    const what = `${mergeTasks.length} merge tasks in ${place.prefix}`
    return Promise.reject(new PipelineError('LEASES_NOT_READY', `Leases cannot hand out ${what}.`))
  }

  ended(_task: string): void {}

  confirm(): Promise<boolean> {
    return Promise.resolve(false)
  }

  leave(): Promise<void> {
    return Promise.resolve()
  }
}
