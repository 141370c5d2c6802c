/** The smallest compressors that make every kind of element: for tests of the decompressors, written from the same specifications. */

interface Step {
  readonly literals: Uint8Array
  /** How far back, and how many bytes; null at the end. */
  readonly match: { readonly distance: number; readonly length: number } | null
}

const MATCH_MIN = 4

/** Greedy, with the last place of each four bytes. */
function stepsOf(bytes: Uint8Array): Step[] {
  const places = new Map<number, number>()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const steps: Step[] = []
  let start = 0
  let at = 0
  while (at + MATCH_MIN <= bytes.length) {
    const word = view.getUint32(at)
    const place = places.get(word)
    places.set(word, at)
    if (place === undefined || at - place > 0xffff) {
      at++
      continue
    }
    let length = MATCH_MIN
    while (at + length < bytes.length && bytes[place + length] === bytes[at + length]) length++
    steps.push({ literals: bytes.subarray(start, at), match: { distance: at - place, length } })
    at += length
    start = at
  }
  steps.push({ literals: bytes.subarray(start), match: null })
  return steps
}

function extended(length: number): number[] {
  if (length < 15) return []
  const bytes: number[] = []
  let rest = length - 15
  for (; rest >= 255; rest -= 255) bytes.push(255)
  return [...bytes, rest]
}

function lz4Block(bytes: Uint8Array): number[] {
  const out: number[] = []
  for (const { literals, match } of stepsOf(bytes)) {
    const matchLength = match === null ? 0 : match.length - MATCH_MIN
    out.push((Math.min(15, literals.length) << 4) | Math.min(15, matchLength))
    out.push(...extended(literals.length), ...literals)
    if (match !== null) out.push(match.distance & 0xff, match.distance >> 8, ...extended(matchLength))
  }
  return out
}

const word = (value: number): number[] => [
  value & 0xff,
  (value >> 8) & 0xff,
  (value >> 16) & 0xff,
  value >>> 24,
]

/** Blocks: one compressed, one not. `hasChecksums`: with the optional parts of the frame. */
export function lz4Frame(bytes: Uint8Array, hasChecksums: boolean): Uint8Array {
  const half = Math.floor(bytes.length / 2)
  const checksum = hasChecksums ? [1, 2, 3, 4] : []
  const flags = 0x60 | (hasChecksums ? 0x1c : 0)
  const size = hasChecksums ? [...word(bytes.length), 0, 0, 0, 0] : []
  const out = [0x04, 0x22, 0x4d, 0x18, flags, 0x40, ...size, 0]
  const first = lz4Block(bytes.subarray(0, half))
  out.push(...word(first.length), ...first, ...checksum)
  const rest = bytes.subarray(half)
  if (rest.length > 0) out.push(...word((rest.length | 0x8000_0000) >>> 0), ...rest, ...checksum)
  return Uint8Array.from([...out, ...word(0), ...checksum])
}

export function snappyBlock(bytes: Uint8Array): Uint8Array {
  const out: number[] = []
  let length = bytes.length
  for (; length > 0x7f; length >>>= 7) out.push((length & 0x7f) | 0x80)
  out.push(length)
  for (const { literals, match } of stepsOf(bytes)) {
    if (literals.length > 0) {
      const count = literals.length - 1
      if (count < 60) out.push(count << 2)
      else if (count < 256) out.push(60 << 2, count)
      else out.push(61 << 2, count & 0xff, count >> 8)
      out.push(...literals)
    }
    if (match === null) continue
    let left = match.length
    while (left > 0) {
      const count = Math.min(left, 64)
      left -= count
      const { distance } = match
      if (count >= 4 && count <= 11 && distance < 2048)
        out.push(1 | ((count - 4) << 2) | ((distance >> 8) << 5), distance & 0xff)
      else if (count % 2 === 0) out.push(2 | ((count - 1) << 2), distance & 0xff, distance >> 8)
      else out.push(3 | ((count - 1) << 2), ...word(distance))
    }
  }
  return Uint8Array.from(out)
}

/** Two blocks in the frame of the Java library. */
export function xerialFrame(bytes: Uint8Array): Uint8Array {
  const out = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]
  const half = Math.floor(bytes.length / 2)
  for (const part of [bytes.subarray(0, half), bytes.subarray(half)]) {
    const block = snappyBlock(part)
    out.push(...word(block.length).reverse(), ...block)
  }
  return Uint8Array.from(out)
}
