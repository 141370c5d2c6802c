import { unreachable } from '../errors.ts'

/** A value of a query result, freed from the database that gave it. */
export type Cell =
  | null
  | boolean
  | number
  | bigint
  | string
  /** Since 1970-01-01T00:00:00; `utc` false means a local date and time, in no zone. */
  | { readonly kind: 'timestamp'; readonly micros: bigint; readonly utc: boolean }
  | { readonly kind: 'decimal'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'list'; readonly elements: readonly Cell[] }
  | { readonly kind: 'struct'; readonly entries: readonly (readonly [string, Cell])[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [Cell, Cell])[] }

/** For a person, on one line. */
export function cellText(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell === 'string') return printable(cell)
  if (typeof cell !== 'object') return String(cell)
  switch (cell.kind) {
    case 'timestamp':
      return isoTime(cell.micros, cell.utc).replace('T', ' ')
    case 'decimal':
      return cell.text
    case 'bytes':
      return bytesText(cell.bytes)
    case 'list':
      return `[${cell.elements.map(nestedText).join(', ')}]`
    case 'struct':
      return `{${cell.entries.map(([name, value]) => `${name}: ${nestedText(value)}`).join(', ')}}`
    case 'map':
      return `{${cell.entries.map(([key, value]) => `${nestedText(key)}: ${nestedText(value)}`).join(', ')}}`
    default:
      return unreachable(cell)
  }
}

function nestedText(cell: Cell): string {
  return cell === null ? 'null' : cellText(cell)
}

/**
 * JSON text. A long is a number as long as JavaScript and most other readers hold it exactly (up to 2^53 - 1), and a
 * string beyond; decimals are strings; bytes are base64; NaN and the infinities, which JSON lacks, are strings.
 */
export function cellJson(cell: Cell): string {
  if (cell === null) return 'null'
  if (typeof cell === 'bigint') return isExact(cell) ? String(cell) : `"${cell}"`
  if (typeof cell === 'number') return Number.isFinite(cell) ? numberJson(cell) : `"${cell}"`
  if (typeof cell !== 'object') return JSON.stringify(cell)
  switch (cell.kind) {
    case 'timestamp':
      return `"${isoTime(cell.micros, cell.utc)}"`
    case 'decimal':
      return `"${cell.text}"`
    case 'bytes':
      return `"${Buffer.from(cell.bytes).toString('base64')}"`
    case 'list':
      return `[${cell.elements.map(cellJson).join(',')}]`
    case 'struct':
      return `{${cell.entries.map(([name, value]) => `${JSON.stringify(name)}:${cellJson(value)}`).join(',')}}`
    case 'map':
      return mapJson(cell.entries)
    default:
      return unreachable(cell)
  }
}

/** JSON has a minus zero, which JSON.stringify drops. */
function numberJson(value: number): string {
  return Object.is(value, -0) ? '-0' : JSON.stringify(value)
}

function mapJson(entries: readonly (readonly [Cell, Cell])[]): string {
  if (entries.every(([key]) => typeof key === 'string')) {
    return `{${entries.map(([key, value]) => `${cellJson(key)}:${cellJson(value)}`).join(',')}}`
  }
  return `[${entries.map(([key, value]) => `{"key":${cellJson(key)},"value":${cellJson(value)}}`).join(',')}]`
}

function isExact(value: bigint): boolean {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
}

/** A field of RFC 4180: null is nothing at all, the empty string is "". */
export function cellCsv(cell: Cell): string {
  if (cell === null) return ''
  const text = csvText(cell)
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function csvText(cell: Cell): string {
  if (typeof cell === 'string') return cell
  if (typeof cell !== 'object' || cell === null) return String(cell)
  switch (cell.kind) {
    case 'timestamp':
      return isoTime(cell.micros, cell.utc)
    case 'decimal':
      return cell.text
    case 'bytes':
      return Buffer.from(cell.bytes).toString('base64')
    case 'list':
    case 'struct':
    case 'map':
      return cellJson(cell)
    default:
      return unreachable(cell)
  }
}

const MICROS_PER_SECOND = 1_000_000n

/** ISO 8601 with as many digits of the second as are needed: none, three or six. */
export function isoTime(micros: bigint, utc: boolean): string {
  let seconds = micros / MICROS_PER_SECOND
  let fraction = micros % MICROS_PER_SECOND
  if (fraction < 0n) {
    seconds -= 1n
    fraction += MICROS_PER_SECOND
  }
  const date = new Date(Number(seconds) * 1000)
  if (Number.isNaN(date.getTime())) return micros > 0n ? 'infinity' : '-infinity'
  const digits = String(fraction).padStart(6, '0')
  const shown = fraction === 0n ? '' : `.${digits.endsWith('000') ? digits.slice(0, 3) : digits}`
  return `${date.toISOString().slice(0, -'.000Z'.length)}${shown}${utc ? 'Z' : ''}`
}

/** Bytes that are text are shown as such, others as hexadecimal digits. */
function bytesText(bytes: Uint8Array): string {
  const ascii = bytes.every((byte) => byte >= 0x20 && byte < 0x7f)
  return ascii ? Buffer.from(bytes).toString('latin1') : `0x${Buffer.from(bytes).toString('hex')}`
}

/** Control characters, and those that turn the direction of text: what would make a terminal show something else. */
const UNPRINTABLE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Text that is safe on a terminal and stays on one line: what is not printable is shown by its code. */
export function printable(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
