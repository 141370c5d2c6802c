import { encodeUtf8 } from '../columns/utf8.ts'
import { assert, unreachable } from '../errors.ts'
import { copyDecimal, decimalLimit } from './decimal-bytes.ts'
import type { DecoderSource } from './decoder-source.ts'
import { defaultBytes } from './default-value.ts'
import { defaultChild } from './resolution.ts'
import type { LogicalType } from './logical-type.ts'
import type { AvroType, UnionType } from './schema-model.ts'
import type { Slot } from './slot-code.ts'
import { growItems, nullCode, roomCode, validCode } from './slot-code.ts'
import { writeUuid } from './wire.ts'

/** Code that writes a default, which `fieldsOf` has checked, to row `row` of the slot. */
export function defaultCode(
  source: DecoderSource,
  type: AvroType,
  value: unknown,
  slot: Slot,
  row: string,
): string {
  const at = `V${slot.id}[${row}]`
  switch (type.kind) {
    case 'union':
      return unionDefault(source, type, value, slot, row)
    case 'null':
      return nullCode(slot, row)
    case 'boolean': {
      const byte = `V${slot.id}[${row} >> 3]`
      return value === true ? `${byte} |= 1 << (${row} & 7)` : `${byte} &= ~(1 << (${row} & 7))`
    }
    case 'int':
    case 'float':
    case 'double':
      // By name, for the sake of -0 and of NaN as a string.
      return `${at} = ${source.value(Number(value))}`
    case 'long': {
      const long = BigInt(value as number | bigint)
      const low = source.value(Number(BigInt.asIntN(32, long)))
      const high = source.value(Number(BigInt.asIntN(32, long >> 32n)))
      return `V${slot.id}[2 * ${row}] = ${low}\nV${slot.id}[2 * ${row} + 1] = ${high}`
    }
    case 'enum':
      return `${at} = ${type.symbols.indexOf(value as string)}`
    case 'string':
      return bytesDefault(source, encodeUtf8(value as string), slot, row)
    case 'bytes':
    case 'fixed':
      return bytesDefault(source, storedBytes(type.logical, defaultBytes(value)), slot, row)
    case 'array': {
      const items = value as readonly unknown[]
      const [element] = slot.children
      assert(element !== undefined, 'a list column has an element')
      return itemsDefault(
        slot,
        row,
        items.map((item) => defaultCode(source, type.items, item, element, `K${slot.id}`)),
      )
    }
    case 'map': {
      const [keys, values] = slot.children
      assert(keys !== undefined && values !== undefined, 'a map column has keys and values')
      const item = `K${slot.id}`
      return itemsDefault(
        slot,
        row,
        Object.entries(value as Record<string, unknown>).map(([key, entry]) => {
          const keyCode = bytesDefault(source, encodeUtf8(key), keys, item)
          return `${keyCode}\n${defaultCode(source, type.values, entry, values, item)}`
        }),
      )
    }
    case 'record': {
      const object = value as Readonly<Record<string, unknown>>
      const pieces = type.fields.map((field, child) => {
        const given = Object.hasOwn(object, field.name) ? object[field.name] : field.default
        return defaultCode(source, field.type, given, slot.children[child]!, row)
      })
      return source.sequence(pieces)
    }
    default:
      return unreachable(type)
  }
}

function unionDefault(
  source: DecoderSource,
  type: UnionType,
  value: unknown,
  slot: Slot,
  row: string,
): string {
  const branch = defaultChild(type, value)
  if (branch === null) return nullCode(slot, row)
  const lines = slot.nullable ? [validCode(slot, row)] : []
  if (type.branches.filter((other) => other.kind !== 'null').length === 1) {
    return [...lines, defaultCode(source, branch.type, value, slot, row)].join('\n')
  }
  const child = slot.children[branch.child]!
  return [
    ...lines,
    ...slot.children.map((other) => (other === child ? validCode(child, row) : nullCode(other, row))),
    defaultCode(source, branch.type, value, child, row),
  ].join('\n')
}

/** The bytes as the column holds them. */
function storedBytes(logical: LogicalType | null, bytes: Uint8Array): Uint8Array {
  if (logical?.kind === 'decimal') {
    const stored = new Uint8Array(16)
    copyDecimal(bytes, 0, bytes.length, stored, 0, decimalLimit(logical.precision))
    return stored
  }
  if (logical?.kind !== 'uuid') return bytes
  const text = new Uint8Array(36)
  writeUuid(bytes, 0, text, 0)
  return text
}

function bytesDefault(source: DecoderSource, bytes: Uint8Array, slot: Slot, row: string): string {
  const { id } = slot
  const value = source.value(bytes)
  const { length } = bytes
  if (slot.storage === 'fixed') return `copyBytes(${value}, 0, ${length}, V${id}, ${length} * ${row})`
  return `${roomCode(slot, row, String(length))}
copyBytes(${value}, 0, ${length}, V${id}, o)
O${id}[${row} + 1] = o + ${length}`
}

function itemsDefault(slot: Slot, row: string, items: readonly string[]): string {
  const lines = items.flatMap((item) => [item, `K${slot.id}++`])
  return [growItems(slot, String(items.length)), ...lines, `O${slot.id}[${row} + 1] = K${slot.id}`].join('\n')
}
