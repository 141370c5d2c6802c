/** https://github.com/delta-io/delta/blob/master/PROTOCOL.md and Delta's table properties, as far as they concern what is kept. */

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export const LOG_RETENTION_PROPERTY = 'delta.logRetentionDuration'
/** What our tables are made with: a flush every ten seconds is 8,640 commits a day. */
export const LOG_RETENTION_OF_NEW_TABLES = 'interval 7 days'

/** Delta's own default, where a table does not say. */
const LOG_RETENTION_MS = 30 * DAY_MS
const TOMBSTONE_RETENTION_MS = 7 * DAY_MS
/** A process that was asleep for less need not fear that a version which it is about to write has come and gone meanwhile. */
export const LOG_RETENTION_MS_MIN = DAY_MS

type Configuration = Readonly<Record<string, string>>

/** How long commits stay readable one by one; null where they are never to be deleted. At least LOG_RETENTION_MS_MIN. */
export function logRetentionMs(configuration: Configuration): number | null {
  if (configuration['delta.enableExpiredLogCleanup'] === 'false') return null
  const text = configuration[LOG_RETENTION_PROPERTY]
  if (text === undefined) return LOG_RETENTION_MS
  const retentionMs = intervalMs(text)
  return retentionMs === null ? null : Math.max(retentionMs, LOG_RETENTION_MS_MIN)
}

/** How long a removed file is remembered, and stays on disk for who reads an older version. */
export function tombstoneRetentionMs(configuration: Configuration): number {
  const text = configuration['delta.deletedFileRetentionDuration']
  return text === undefined ? TOMBSTONE_RETENTION_MS : (intervalMs(text) ?? Infinity)
}

const UNITS_MS: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: HOUR_MS,
  day: DAY_MS,
  week: 7 * DAY_MS,
}

/** 'interval 1 week', '30 days', 'interval 2 days 12 hours'. Null for what has no fixed length, or is no interval. */
export function intervalMs(text: string): number | null {
  const words = text
    .trim()
    .toLowerCase()
    .replace(/^interval\s+/, '')
    .split(/\s+/)
  if (words.length % 2 !== 0) return null
  let totalMs = 0
  for (let index = 0; index < words.length; index += 2) {
    const count = Number(words[index])
    const unitMs = UNITS_MS[words[index + 1]!.replace(/s$/, '')]
    if (!Number.isFinite(count) || count < 0 || unitMs === undefined) return null
    totalMs += count * unitMs
  }
  return totalMs
}
