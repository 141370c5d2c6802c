import { PipelineError } from '../../src/errors.ts'
import type { ReadRate } from './read-budget.ts'

/** How shards are polled. */
export interface PollLimits extends ReadRate {
  /** Between two reads at the tip of a shard where there is something each time. */
  readonly intervalMs: number
  /** What the interval grows to while nothing comes. */
  readonly idleIntervalMs: number
  /** Of one answer. Kinesis gives 10,000 records and 10 MB at most. */
  readonly recordsMax: number
  /** Between two tries after a failure, at first and at last. */
  readonly retryMsMin: number
  readonly retryMsMax: number
}

/** All that Kinesis allows: who shares the stream with other consumers says less. */
export const POLL_LIMITS: PollLimits = {
  intervalMs: 200,
  idleIntervalMs: 1_000,
  recordsMax: 10_000,
  readsPerSecondMax: 5,
  bytesPerSecondMax: 2_000_000,
  retryMsMin: 200,
  retryMsMax: 10_000,
}

/** @throws PipelineError OPTION_INVALID */
export function resolvePollLimits(given: Partial<PollLimits> = {}): PollLimits {
  const limits = { ...POLL_LIMITS, ...given }
  check('intervalMs', limits.intervalMs, 1, 60_000)
  // An iterator is good for five minutes.
  check('idleIntervalMs', limits.idleIntervalMs, limits.intervalMs, 240_000)
  check('recordsMax', limits.recordsMax, 1, 10_000)
  check('readsPerSecondMax', limits.readsPerSecondMax, 0.01, 5)
  check('bytesPerSecondMax', limits.bytesPerSecondMax, 50_000, 2_097_152)
  check('retryMsMin', limits.retryMsMin, 1, 60_000)
  check('retryMsMax', limits.retryMsMax, limits.retryMsMin, 240_000)
  if (!Number.isInteger(limits.recordsMax)) throw invalid('recordsMax', limits.recordsMax, 'a whole number')
  return limits
}

function check(name: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) throw invalid(name, value, `from ${min} to ${max}`)
}

function invalid(name: string, value: number, range: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `kinesis(): fetch.${name} is ${value}`, {
    advice: `It is ${range}.`,
  })
}
