import { GrowingBytes } from './growing-bytes.ts'

/**
 * Decompresses Snappy (github.com/google/snappy, format_description.txt), as one raw block or in the frame of the Java library (xerial), which
 * Java producers write:
 *
 *   0x82 'SNAPPY' 0x00, version (4), compatible version (4), then for each block its size (4, big endian) and a raw block
 *
 * Throws RangeError for what is not Snappy.
 */
export function decompressSnappy(input: Uint8Array, bytesMax: number): Uint8Array {
  if (!XERIAL.every((byte, index) => input[index] === byte)) {
    const output = new GrowingBytes(lengthOf(input, 0, input.length).length, bytesMax)
    readBlock(input, 0, input.length, output)
    return output.finish()
  }
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const output = new GrowingBytes(Math.min(bytesMax, input.length * 4), bytesMax)
  let at = XERIAL_HEADER_BYTES
  while (at < input.length) {
    const end = at + 4 + view.getInt32(at)
    if (end <= at + 4 || end > input.length) throw new RangeError('a Snappy block ends after its frame')
    readBlock(input, at + 4, end, output)
    at = end
  }
  return output.finish()
}

const XERIAL = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]
const XERIAL_HEADER_BYTES = 16

/** The length that a block says it has, and where its elements begin. */
function lengthOf(
  input: Uint8Array,
  start: number,
  end: number,
): { readonly length: number; readonly at: number } {
  let length = 0
  for (let index = 0; index < 5; index++) {
    const byte = byteAt(input, start + index, end)
    length += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { length, at: start + index + 1 }
  }
  throw new RangeError('the length of a Snappy block has more than five bytes')
}

function readBlock(input: Uint8Array, start: number, end: number, output: GrowingBytes): void {
  const { length, at: first } = lengthOf(input, start, end)
  output.ensure(length)
  const limit = output.used + length
  let at = first
  while (at < end) {
    const tag = input[at++]!
    const kind = tag & 3
    if (kind === 0) {
      let literals = (tag >> 2) + 1
      if (literals > 60) {
        const bytes = literals - 60
        literals = 1
        for (let index = 0; index < bytes; index++) literals += byteAt(input, at++, end) * 2 ** (8 * index)
      }
      if (at + literals > end || output.used + literals > limit) throw tooLong()
      output.append(input, at, at + literals)
      at += literals
      continue
    }
    let count: number
    let distance: number
    if (kind === 1) {
      count = ((tag >> 2) & 7) + 4
      distance = ((tag >> 5) << 8) | byteAt(input, at++, end)
    } else {
      count = (tag >> 2) + 1
      distance = byteAt(input, at, end) | (byteAt(input, at + 1, end) << 8)
      at += 2
      if (kind === 3) {
        distance += byteAt(input, at, end) * 0x1_0000 + byteAt(input, at + 1, end) * 0x100_0000
        at += 2
      }
    }
    if (output.used + count > limit) throw tooLong()
    output.repeat(distance, count)
  }
  if (output.used !== limit) throw new RangeError('a Snappy block is shorter than it says')
}

function tooLong(): RangeError {
  return new RangeError('a Snappy block is longer than it says')
}

function byteAt(input: Uint8Array, at: number, end: number): number {
  if (at >= end) throw new RangeError('a Snappy block ends within an element')
  return input[at]!
}
