import { GrowingBytes } from './growing-bytes.ts'

/**
 * Decompresses LZ4 frames (LZ4 Frame Format 1.6.x and Block Format, github.com/lz4/lz4/tree/dev/doc). Checksums are skipped: the record
 * batch around it has one. Throws RangeError for what is not LZ4.
 *
 *   frame = 0x184D2204, FLG, BD, [content size 8], [dictionary id 4], header checksum, block*, 0 (4), [content checksum 4]
 *   block = size (4, highest bit: not compressed), bytes, [checksum 4]
 */
export function decompressLz4(input: Uint8Array, bytesMax: number): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const output = new GrowingBytes(Math.min(bytesMax, Math.max(1024, input.length * 4)), bytesMax)
  let at = 0
  while (at < input.length) at = readFrame(view, input, at, output)
  return output.finish()
}

const MAGIC = 0x184d2204

function readFrame(view: DataView, input: Uint8Array, start: number, output: GrowingBytes): number {
  if (view.getUint32(start, true) !== MAGIC) throw new RangeError('not an LZ4 frame')
  const flags = view.getUint8(start + 4)
  if (flags >> 6 !== 1) throw new RangeError(`LZ4 frame of version ${flags >> 6}`)
  if ((flags & 1) !== 0) throw new RangeError('LZ4 with a dictionary')
  const blockChecksumBytes = (flags & 0x10) === 0 ? 0 : 4
  let at = start + 7 + ((flags & 0x08) === 0 ? 0 : 8)
  for (;;) {
    const word = view.getUint32(at, true)
    at += 4
    if (word === 0) return at + ((flags & 0x04) === 0 ? 0 : 4)
    const end = at + (word & 0x7fffffff)
    if (end > input.length) throw new RangeError('an LZ4 block ends after its frame')
    if (word >>> 31 === 1) output.append(input, at, end)
    else readBlock(input, at, end, output)
    at = end + blockChecksumBytes
  }
}

function readBlock(input: Uint8Array, start: number, end: number, output: GrowingBytes): void {
  let at = start
  while (at < end) {
    const token = input[at++]!
    let literals = token >> 4
    if (literals === 15) {
      let more: number
      do {
        more = byteAt(input, at++, end)
        literals += more
      } while (more === 255)
    }
    if (literals > 0) {
      if (at + literals > end) throw new RangeError('literals end after their LZ4 block')
      output.ensure(literals)
      const { bytes, used } = output
      if (literals > 24) bytes.set(input.subarray(at, at + literals), used)
      else for (let index = 0; index < literals; index++) bytes[used + index] = input[at + index]!
      output.used = used + literals
      at += literals
    }
    // The last sequence has literals only.
    if (at === end) return
    const distance = byteAt(input, at, end) | (byteAt(input, at + 1, end) << 8)
    at += 2
    let length = (token & 15) + 4
    if ((token & 15) === 15) {
      let more: number
      do {
        more = byteAt(input, at++, end)
        length += more
      } while (more === 255)
    }
    output.ensure(length)
    output.repeat(distance, length)
  }
}

function byteAt(input: Uint8Array, at: number, end: number): number {
  if (at >= end) throw new RangeError('an LZ4 block ends within a sequence')
  return input[at]!
}
