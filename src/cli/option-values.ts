import { usageError } from './failure.ts'

export const LAKE_DEFAULT = './lake'
export const LAKE_HELP = 'where the tables are: a folder, or s3://bucket/prefix'

/** 'max', '1x', '60x', '0.5x': how fast the time of a recording passes. */
export function parseSpeed(text: string): 'max' | number {
  if (text === 'max') return 'max'
  const match = /^(\d+(?:\.\d+)?)x?$/.exec(text)
  const speed = Number(match?.[1])
  if (match === null || !(speed > 0) || !Number.isFinite(speed)) {
    throw usageError(`--speed ${text} is no speed`, 'Use max, or how many seconds pass in one: 1x, 60x.')
  }
  return speed
}

/** ISO 8601 to milliseconds. Without a zone it is UTC, like every time that the command shows. */
export function parseTime(option: string, text: string): number {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text)
  const timeMs =
    match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2] ?? '00:00'}${zone(match[3])}`)
  if (Number.isNaN(timeMs)) {
    throw usageError(`${option} ${text} is no time`, 'Use ISO 8601: 2024-03-01, or 2024-03-01T12:00:00Z.')
  }
  return timeMs
}

function zone(text = 'Z'): string {
  return /^[+-]\d{4}$/.test(text) ? `${text.slice(0, 3)}:${text.slice(3)}` : text
}

/** Digits, with _ or , between them. */
export function parseCount(
  option: string,
  text: string,
  { min = 1, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {},
): number {
  const count = /^\d[\d_,]*$/.test(text) ? Number(text.replaceAll(/[_,]/g, '')) : Number.NaN
  if (!Number.isSafeInteger(count) || count < min || count > max) {
    const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
    throw usageError(
      `${option} ${text} is not a number ${range}`,
      `For example: ${option} ${Math.max(min, 1000)}.`,
    )
  }
  return count
}

export function parseChoice<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text)
  if (found === undefined) throw usageError(`${option} ${text} is unknown`, `Use ${choices.join(', ')}.`)
  return found
}

const BYTES_OF: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
  TIB: 1024 ** 4,
}

/** '500MB', '2GiB', '1.5 GB', or a number of bytes. */
export function parseBytes(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text)
  const bytes = Math.round(Number(match?.[1]) * (BYTES_OF[match?.[2]?.toUpperCase() ?? ''] ?? Number.NaN))
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw usageError(`${option} ${text} is no size`, `For example: ${option} 2GiB, or 500MB.`)
  }
  return bytes
}

const MS_OF: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 }

/** '30s', '5m', '1.5h', '250ms', in milliseconds. */
export function parseSpan(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(text)
  const spanMs = Number(match?.[1]) * (MS_OF[match?.[2]?.toLowerCase() ?? ''] ?? Number.NaN)
  if (!(spanMs > 0) || !Number.isFinite(spanMs)) {
    throw usageError(`${option} ${text} is no time span`, `For example: ${option} 30s, 5m or 1h.`)
  }
  return spanMs
}
