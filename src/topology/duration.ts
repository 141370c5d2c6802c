import { PipelineError } from '../errors.ts'

declare const unit: unique symbol

/** A span of time in milliseconds. The brand keeps a bare `30`, whose unit nobody can see, from compiling. */
export type Duration = number & { readonly [unit]: 'milliseconds' }

export function millis(count: number): Duration {
  return duration(count, 1, 'millis')
}

export function seconds(count: number): Duration {
  return duration(count, 1_000, 'seconds')
}

export function minutes(count: number): Duration {
  return duration(count, 60_000, 'minutes')
}

export function hours(count: number): Duration {
  return duration(count, 3_600_000, 'hours')
}

/** Days of 24 hours: a window of a day is a UTC day, whatever daylight saving does. */
export function days(count: number): Duration {
  return duration(count, 86_400_000, 'days')
}

function duration(count: unknown, unitMs: number, unitName: string): Duration {
  if (typeof count !== 'number' || !Number.isFinite(count)) {
    throw new PipelineError('INVALID_DURATION', `${unitName}(${String(count)}) is not a duration`, {
      advice: `Give a finite number, as in ${unitName}(5).`,
    })
  }
  // Rounded, so that seconds(0.1) is 100 ms and not 100.00000000000001.
  return Math.round(count * unitMs) as Duration
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
  [1, 'ms'],
]

/** For people: 90 minutes is '1 h 30 min', one second '1 s'. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0 s'
  const parts: string[] = []
  let restMs = Math.abs(durationMs)
  for (const [unitMs, name] of UNITS) {
    const count = Math.floor(restMs / unitMs)
    if (count > 0) parts.push(`${count} ${name}`)
    restMs -= count * unitMs
  }
  return (durationMs < 0 ? '−' : '') + parts.join(' ')
}
