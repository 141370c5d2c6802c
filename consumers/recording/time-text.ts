import type { TimeLogical } from './value-shape.ts'

const DAY_MS = 86_400_000
const ISO = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?(Z|[+-]\d\d:\d\d)?$/

/** Days since 1970-01-01, or null where the text is not a date. */
export function parseDate(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return null
  const ms = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(ms) ? null : ms / DAY_MS
}

export function dateText(days: number): string {
  return dateTimeText(days * DAY_MS)?.slice(0, -'T00:00:00.000Z'.length) ?? String(days)
}

/**
 * ISO 8601 in the unit of the logical type. A timestamp needs a zone, a local one must not have one. Digits beyond the
 * unit are cut off. Null where the text is not such a time; the text itself where it is a number.
 */
export function parseTimestamp(logical: TimeLogical, text: string): bigint | string | null {
  if (/^-?\d+$/.test(text)) return text
  const match = ISO.exec(text)
  const local = logical.startsWith('local-')
  const zone = match?.[5]
  if (match === null || logical === 'date' || (zone === undefined) !== local) return null
  const seconds = Date.parse(`${match[1]}T${match[2]}:${match[3] ?? '00'}${zone ?? 'Z'}`)
  if (Number.isNaN(seconds)) return null
  const micros = BigInt(seconds) * 1000n + BigInt((match[4] ?? '').padEnd(6, '0'))
  if (logical.endsWith('-micros')) return micros
  return (micros - (((micros % 1000n) + 1000n) % 1000n)) / 1000n
}

/** Null for a long that is not a time, or a time that has no text. */
export function timestampText(logical: TimeLogical | null, value: bigint): string | null {
  if (logical === null || logical === 'date') return null
  const micros = logical.endsWith('-micros')
  const subMillis = micros ? ((value % 1000n) + 1000n) % 1000n : 0n
  const text = dateTimeText(Number(micros ? (value - subMillis) / 1000n : value))
  if (text === null) return null
  const digits = micros ? String(subMillis).padStart(3, '0') : ''
  return text.slice(0, -1) + digits + (logical.startsWith('local-') ? '' : 'Z')
}

/** Only years that have four digits, so that it can be read back. */
function dateTimeText(ms: number): string | null {
  const text = Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : ''
  return /^\d{4}-/.test(text) ? text : null
}
