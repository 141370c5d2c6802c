import type { RowChoice } from './row-choice.ts'

/** Bits of the rows, packed from bit 0 on; bits above the last row are 0. `to` has room for (count + 7) >> 3 bytes. */
export function copyBits(from: Uint8Array, rows: RowChoice, to: Uint8Array): void {
  if (rows.kind === 'list') gatherBits(from, rows.indices, rows.start, rows.count, to)
  else if ((rows.start & 7) === 0) {
    const byteCount = (rows.count + 7) >> 3
    to.set(from.subarray(rows.start >> 3, (rows.start >> 3) + byteCount))
  } else shiftBits(from, rows.start, rows.count, to)
  if ((rows.count & 7) !== 0) to[rows.count >> 3]! &= (1 << (rows.count & 7)) - 1
}

function gatherBits(
  from: Uint8Array,
  indices: Int32Array,
  start: number,
  count: number,
  to: Uint8Array,
): void {
  let byte = 0
  for (let row = 0; row < count; row++) {
    const index = indices[start + row]!
    byte |= ((from[index >> 3]! >> (index & 7)) & 1) << (row & 7)
    if ((row & 7) === 7) {
      to[row >> 3] = byte
      byte = 0
    }
  }
  if ((count & 7) !== 0) to[count >> 3] = byte
}

function shiftBits(from: Uint8Array, start: number, count: number, to: Uint8Array): void {
  const shift = start & 7
  const firstByte = start >> 3
  const byteCount = (count + 7) >> 3
  for (let index = 0; index < byteCount; index++) {
    const low = from[firstByte + index]!
    // Beyond the array only where those bits are above the last row.
    const high = from[firstByte + index + 1] ?? 0
    to[index] = (low >> shift) | (high << (8 - shift))
  }
}

/** How many of the first `count` bits are 0. Bits above them must be 0. */
export function countZeros(bits: Uint8Array, count: number): number {
  let ones = 0
  for (let index = 0; index < (count + 7) >> 3; index++) {
    let byte = bits[index]!
    byte -= (byte >> 1) & 0x55
    byte = (byte & 0x33) + ((byte >> 2) & 0x33)
    ones += (byte + (byte >> 4)) & 0x0f
  }
  return count - ones
}
