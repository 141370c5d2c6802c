/**
 * CRC-32C (Castagnoli polynomial, reflected: 0x82f63b78), as RFC 3720, section 12.1, has it, over `bytes[from .. end)`. Eight bytes a step
 * ("slicing by 8", Kounavis and Berry, 2005): every batch that is read is checked.
 */
export function crc32c(bytes: Uint8Array, from = 0, end: number = bytes.length): number {
  let crc = -1
  let at = from
  for (; at + 8 <= end; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc =
      T7[crc & 0xff]! ^
      T6[(crc >>> 8) & 0xff]! ^
      T5[(crc >>> 16) & 0xff]! ^
      T4[crc >>> 24]! ^
      T3[bytes[at + 4]!]! ^
      T2[bytes[at + 5]!]! ^
      T1[bytes[at + 6]!]! ^
      T0[bytes[at + 7]!]!
  }
  for (; at < end; at++) crc = T0[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}

const T0 = Int32Array.from({ length: 256 }, (_, index) => {
  let crc = index
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  return crc
})
const T1 = shifted(T0)
const T2 = shifted(T1)
const T3 = shifted(T2)
const T4 = shifted(T3)
const T5 = shifted(T4)
const T6 = shifted(T5)
const T7 = shifted(T6)

/** The table for a byte that stands one place further to the front. */
function shifted(table: Int32Array): Int32Array {
  return table.map((crc) => T0[crc & 0xff]! ^ (crc >>> 8))
}
