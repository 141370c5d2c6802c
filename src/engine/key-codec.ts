import { type Column, isValid, setValid } from '../columns/column.ts'
import {
  appendBytes,
  appendInt32,
  appendNull,
  appendText,
  binaryColumn,
  int32Column,
} from '../columns/write.ts'
import { decodeUtf8 } from '../columns/utf8.ts'
import { assert, PipelineError, unreachable } from '../errors.ts'

/**
 * A key as JSON, and back, exactly: partials and state at rest can be read without Millrace. Integers are numbers, or text beyond
 * 2^53; enums are their symbol, so that a reordered enum changes nothing; bytes, fixed and decimals are hex.
 */
export type KeyJson = string | number | boolean | null

export function keyToJson(column: Column, row: number): KeyJson {
  if (!isValid(column, row)) return null
  const type = column.field.type
  switch (column.storage) {
    case 'int32': {
      const value = column.values[row]!
      return type.kind === 'enum' ? type.symbols[value]! : value
    }
    case 'int64':
      return wordsToJson(column.words[row * 2]!, column.words[row * 2 + 1]!)
    case 'boolean':
      return ((column.bits[row >> 3]! >> (row & 7)) & 1) === 1
    case 'binary': {
      const bytes = column.data.subarray(column.offsets[row], column.offsets[row + 1])
      return type.kind === 'string' ? decodeUtf8(bytes) : toHex(bytes)
    }
    case 'fixed':
      return toHex(column.data.subarray(row * column.width, (row + 1) * column.width))
    case 'float32':
    case 'float64':
    case 'list':
    case 'map':
    case 'struct':
      throw new PipelineError('KEY_NOT_GROUPABLE', `field ${column.field.name} cannot be a key`)
    default:
      return unreachable(column)
  }
}

export function keyFromJson(json: KeyJson, column: Column): void {
  if (json === null) {
    appendNull(column)
    return
  }
  const type = column.field.type
  switch (column.storage) {
    case 'int32': {
      const value = type.kind === 'enum' ? type.symbols.indexOf(String(json)) : Number(json)
      assert(value !== -1 || type.kind !== 'enum', `${column.field.name} has no symbol ${json}`)
      appendInt32(int32Column(column), value)
      break
    }
    case 'int64': {
      const value = BigInt(json)
      column.reserve(column.length + 1)
      column.words[column.length * 2] = Number(BigInt.asIntN(32, value))
      column.words[column.length * 2 + 1] = Number(BigInt.asIntN(32, value >> 32n))
      column.length++
      break
    }
    case 'boolean': {
      column.reserve(column.length + 1)
      const row = column.length++
      if (json === true) column.bits[row >> 3]! |= 1 << (row & 7)
      else column.bits[row >> 3]! &= ~(1 << (row & 7))
      break
    }
    case 'binary':
      if (type.kind === 'string') appendText(column, String(json))
      else {
        const bytes = fromHex(String(json))
        appendBytes(binaryColumn(column), bytes, 0, bytes.length)
      }
      break
    case 'fixed': {
      column.reserve(column.length + 1)
      column.data.set(fromHex(String(json)), column.length * column.width)
      column.length++
      break
    }
    case 'float32':
    case 'float64':
    case 'list':
    case 'map':
    case 'struct':
      throw new PipelineError('KEY_NOT_GROUPABLE', `field ${column.field.name} cannot be a key`)
    default:
      unreachable(column)
  }
  if (column.validity !== null) setValid(column, column.length - 1, true)
}

function wordsToJson(low: number, high: number): number | string {
  const value = high * 4294967296 + (low >>> 0)
  if (Number.isSafeInteger(value)) return value
  return `${(BigInt(high) << 32n) | BigInt(low >>> 0)}`
}

function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}

function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(i * 2, i * 2 + 2), 16)
  return bytes
}
