import type { Clock, Log } from '../ports.ts'
import type { RunProgress } from './bindings.ts'

const EVERY_MS = 30_000
/** Whoever has just started it wants to see that it reads. */
const FIRST_AFTER_MS = 5_000

/** A line in the log now and then, for whoever looks at a process that runs for months. */
export function progressLog(log: Log, clock: Clock): (progress: RunProgress) => void {
  let since = clock.nowMs()
  let before = 0
  let waitMs = FIRST_AFTER_MS
  return ({ records, watermarkMs, deadLetters }) => {
    const nowMs = clock.nowMs()
    if (nowMs - since < waitMs || records === before) return
    waitMs = EVERY_MS
    const recordsPerSecond = Math.round(((records - before) * 1000) / (nowMs - since))
    const watermark = Number.isFinite(watermarkMs) ? new Date(watermarkMs).toISOString() : null
    log.info({ records, recordsPerSecond, watermark, deadLetters }, 'progress')
    since = nowMs
    before = records
  }
}
