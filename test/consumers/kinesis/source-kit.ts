import type { StreamStart } from '../../../consumers/kinesis/lineage.ts'
import { POLL_LIMITS } from '../../../consumers/kinesis/poll-limits.ts'
import { KinesisSource } from '../../../consumers/kinesis/source.ts'
import type { Clock } from '../../../src/ports.ts'
import { LEASE_TIMES } from '../../../src/leases/lease-membership.ts'
import { FakeKinesis, type FakeKinesisOptions } from '../../kinesis/fake-kinesis.ts'
import { StepClock } from '../../kinesis/step-clock.ts'
import { collectingLog, type LogLine } from '../../support/collecting-log.ts'
import { MIDDLE } from './poll-kit.ts'

export interface SourceOptions {
  readonly from?: StreamStart
  readonly acceptLoss?: boolean
  readonly fanOut?: { readonly consumer: string }
  /** Ours, where it is not that of Kinesis. */
  readonly clock?: Clock
}

/** A stream 'trips' in memory, and sources that read it. */
export class SourceKit {
  readonly clock = new StepClock()
  readonly kinesis: FakeKinesis
  readonly lines: LogLine[] = []

  constructor(shards = 1, options: Partial<FakeKinesisOptions> = {}) {
    this.kinesis = new FakeKinesis({ clock: this.clock, hasReadLimits: true, ...options })
    this.kinesis.addStream('trips', shards)
  }

  source({
    from = 'earliest',
    acceptLoss = false,
    fanOut,
    clock = this.clock,
  }: SourceOptions = {}): KinesisSource {
    const options = {
      stream: 'trips',
      kinesis: {},
      from,
      fanOut: fanOut ?? null,
      limits: POLL_LIMITS,
      bufferBytes: 1_000_000,
      leases: LEASE_TIMES,
      workerName: null,
    }
    const world = { clock, entropy: MIDDLE, log: collectingLog(this.lines), acceptLoss }
    return new KinesisSource(options, world, this.kinesis)
  }

  /** Moves the clock until the promise is kept or broken. */
  readonly within = async <T>(promise: Promise<T>): Promise<T> => {
    let isSettled = false
    const settled = promise.finally(() => {
      isSettled = true
    })
    // Its failure is told to whoever asked.
    settled.catch(() => {})
    await this.clock.until(() => isSettled)
    return promise
  }

  warnings(): readonly string[] {
    return this.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)
  }
}
