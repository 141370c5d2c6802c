import type { Clock, Log } from '../ports.ts'
import type { RunProgress } from './bindings.ts'

const EVERY_MS = 30_000

/** A line in the log now and then, for whoever looks at a process that runs for months. */
export function progressLog(log: Log, clock: Clock): (progress: RunProgress) => void {
  let since = clock.nowMs()
  let before = 0
  return ({ records, watermarkMs, deadLetters }) => {
    const nowMs = clock.nowMs()
    if (nowMs - since < EVERY_MS) return
    const recordsPerSecond = Math.round(((records - before) * 1000) / (nowMs - since))
    const watermark = Number.isFinite(watermarkMs) ? new Date(watermarkMs).toISOString() : null
    log.info({ records, recordsPerSecond, watermark, deadLetters }, 'progress')
    since = nowMs
    before = records
  }
}
