/**
 * The partition that Kafka's Java client gives a key: murmur2 (Austin Appleby, public domain; seed 0x9747b28c), its
 * sign bit cleared, modulo the number of partitions.
 */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions
}

const M = 0x5bd1_e995

export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  const tail = length & ~3
  let hash = 0x9747_b28c ^ length
  for (let at = 0; at < tail; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    const mixed = Math.imul(word, M)
    hash = Math.imul(hash, M) ^ Math.imul(mixed ^ (mixed >>> 24), M)
  }
  if (length > tail) {
    let rest = 0
    for (let at = length - 1; at >= tail; at -= 1) rest = (rest << 8) | bytes[at]!
    hash = Math.imul(hash ^ rest, M)
  }
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}
