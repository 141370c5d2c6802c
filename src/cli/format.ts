/** Numbers and times as a person reads them, always in the same way, whatever the machine's language. */

export function countText(count: number): string {
  return count.toLocaleString('en-US')
}

/** '1 row', '2,000 rows'. */
export function counted(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`
}

export function byteText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit]}`
}

/** To the second, UTC; '–' before the first event. */
export function timeText(timeMs: number): string {
  if (timeMs === Number.POSITIVE_INFINITY) return 'the end'
  return shortTime(isoTimeOf(timeMs))
}

/** ISO 8601 for those who parse it; null where the time is none, or beyond every date. */
export function isoTimeOf(timeMs: number | null): string | null {
  if (timeMs === null || !Number.isFinite(timeMs) || Math.abs(timeMs) > 8.64e15) return null
  return new Date(timeMs).toISOString()
}

/** The same for people, to the second; '–' for none. */
export function shortTime(iso: string | null): string {
  return iso === null ? '–' : iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}

export function durationText(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)} ms`
  if (durationMs < 59_950) return `${(durationMs / 1_000).toFixed(1)} s`
  const seconds = Math.round(durationMs / 1_000)
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`
}
