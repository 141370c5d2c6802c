import { unreachable } from '../errors.ts'
import { widthMin } from './resolution.ts'
import type { AvroType } from './schema-model.ts'
import {
  BLOCK_SIZE,
  ENDS,
  NO_SUCH_INDEX,
  NOT_BOOLEAN,
  readBlock,
  readInt,
  readLength,
  readLong,
  TOO_DEEP,
} from './wire.ts'

/** Fields that the reader does not want may be recursive; deeper values than this fail the record. */
export const SKIP_DEPTH_MAX = 500

/** Returns the position after the value at `p`, or a negative code of wire.ts. */
export type Skipper = (data: Uint8Array, p: number, end: number, scratch: Int32Array, depth: number) => number

/**
 * A function that passes over values of a type, with the same bounds as reading them; only the text of strings is not
 * looked at. A recursive type gets a recursive function.
 */
export function skipperOf(type: AvroType): Skipper {
  return build(type, new Map())
}

function build(type: AvroType, known: Map<AvroType, Skipper>): Skipper {
  switch (type.kind) {
    case 'null':
      return (_data, p) => p
    case 'boolean':
      return (data, p, end) => (p >= end ? ENDS : data[p]! > 1 ? NOT_BOOLEAN : p + 1)
    case 'int':
      return (data, p, end, scratch) => readInt(data, p, end, scratch, 0)
    case 'long':
      return (data, p, end, scratch) => readLong(data, p, end, scratch, 0)
    case 'float':
      return fixedSkipper(4)
    case 'double':
      return fixedSkipper(8)
    case 'fixed':
      return fixedSkipper(type.size)
    case 'bytes':
    case 'string':
      return (data, p, end, scratch) => {
        const at = readLength(data, p, end, scratch)
        return at < 0 ? at : at + scratch[0]!
      }
    case 'enum':
      return indexSkipper(type.symbols.length)
    case 'union':
      return unionSkipper(type.branches.map((branch) => build(branch, known)))
    case 'array':
      return blockSkipper(build(type.items, known), widthMin(type.items))
    case 'map': {
      const key = build({ kind: 'string', logical: null }, known)
      const value = build(type.values, known)
      return blockSkipper(sequenceSkipper([key, value]), 1 + widthMin(type.values))
    }
    case 'record': {
      const before = known.get(type)
      if (before !== undefined) return before
      const fields: Skipper[] = []
      const skipper = sequenceSkipper(fields)
      known.set(type, skipper)
      for (const field of type.fields) fields.push(build(field.type, known))
      return skipper
    }
    default:
      return unreachable(type)
  }
}

function fixedSkipper(size: number): Skipper {
  return (_data, p, end) => (size > end - p ? ENDS : p + size)
}

function indexSkipper(count: number): Skipper {
  return (data, p, end, scratch) => {
    const at = readInt(data, p, end, scratch, 0)
    return at >= 0 && (scratch[0]! < 0 || scratch[0]! >= count) ? NO_SUCH_INDEX : at
  }
}

function unionSkipper(branches: readonly Skipper[]): Skipper {
  return (data, p, end, scratch, depth) => {
    const at = readInt(data, p, end, scratch, 0)
    if (at < 0) return at
    const branch = branches[scratch[0]!]
    return branch === undefined ? NO_SUCH_INDEX : branch(data, at, end, scratch, depth)
  }
}

/** A record, or an entry of a map. */
function sequenceSkipper(parts: readonly Skipper[]): Skipper {
  return (data, p, end, scratch, depth) => {
    if (depth > SKIP_DEPTH_MAX) return TOO_DEEP
    let at = p
    for (let i = 0; i < parts.length && at >= 0; i++) at = parts[i]!(data, at, end, scratch, depth + 1)
    return at
  }
}

function blockSkipper(item: Skipper, width: number): Skipper {
  return (data, p, end, scratch, depth) => {
    if (depth > SKIP_DEPTH_MAX) return TOO_DEEP
    let at = p
    for (;;) {
      at = readBlock(data, at, end, scratch, width)
      if (at < 0) return at
      const count = scratch[0]!
      const blockEnd = scratch[1]!
      if (count === 0) return blockEnd < 0 || blockEnd === at ? at : BLOCK_SIZE
      if (blockEnd >= 0) {
        at = blockEnd
        continue
      }
      for (let i = 0; i < count; i++) {
        at = item(data, at, end, scratch, depth + 1)
        if (at < 0) return at
      }
    }
  }
}
