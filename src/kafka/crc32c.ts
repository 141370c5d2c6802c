/** CRC-32C (Castagnoli polynomial, reflected: 0x82f63b78), as RFC 3720, section 12.1, has it, over `bytes[from .. end)`. */
export function crc32c(bytes: Uint8Array, from = 0, end: number = bytes.length): number {
  let crc = -1
  for (let at = from; at < end; at++) crc = TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ -1) >>> 0
}

const TABLE = Int32Array.from({ length: 256 }, (_, index) => {
  let crc = index
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  return crc
})
