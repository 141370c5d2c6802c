import { AssertionError, assert } from '../../errors.ts'

/**
 * HyperLogLog (Flajolet, Fusy, Gandouet, Meunier: "HyperLogLog: the analysis of a near-optimal cardinality estimation
 * algorithm", 2007) of 64-bit hashes, dense, with 2^14 registers: a standard error of 1.04 / √16384 = 0.81 %.
 *
 * The estimate is the improved raw estimator of Otmar Ertl ("New cardinality estimation algorithms for HyperLogLog
 * sketches", 2017, arXiv:1702.01284): unbiased from a handful to 2^64 values without tables of corrections and without a
 * change of method in between.
 */
const INDEX_BITS = 14
const REGISTERS = 2 ** INDEX_BITS
/** Bits of a hash behind the index; a register holds at most one more. */
const REST_BITS = 64 - INDEX_BITS
/** Of those, the bits in the first word. */
const HIGH_REST_BITS = 32 - INDEX_BITS

export type Registers = Uint8Array

export function createRegisters(): Registers {
  return new Uint8Array(REGISTERS)
}

/** Adds a hash of 64 bits, given as two words. */
export function addHash(registers: Registers, hash: Int32Array): void {
  const high = hash[0]!
  const index = high >>> HIGH_REST_BITS
  const highRest = high << INDEX_BITS
  let rank: number
  if (highRest !== 0) rank = Math.clz32(highRest) + 1
  else rank = HIGH_REST_BITS + Math.clz32(hash[1]!) + 1
  if (rank > registers[index]!) registers[index] = rank
}

export function mergeRegisters(into: Registers, from: Registers): void {
  for (let i = 0; i < REGISTERS; i++) if (from[i]! > into[i]!) into[i] = from[i]!
}

/** How many distinct hashes there were, about. */
export function estimateOf(registers: Registers): number {
  const counts = new Float64Array(REST_BITS + 2)
  for (let i = 0; i < REGISTERS; i++) counts[registers[i]!]! += 1
  let z = REGISTERS * tau(1 - counts[REST_BITS + 1]! / REGISTERS)
  for (let k = REST_BITS; k >= 1; k--) z = 0.5 * (z + counts[k]!)
  z += REGISTERS * sigma(counts[0]! / REGISTERS)
  return (REGISTERS * REGISTERS) / (2 * Math.LN2 * z)
}

/** x + Σ x^(2^k) × 2^(k − 1), k ≥ 1: what the empty registers say. */
function sigma(share: number): number {
  if (share === 1) return Number.POSITIVE_INFINITY
  let x = share
  let weight = 1
  let sum = x
  for (;;) {
    x *= x
    const next = sum + x * weight
    if (next === sum) return sum
    sum = next
    weight += weight
  }
}

/** (1 − x − Σ (1 − x^(2^−k))² × 2^−k, k ≥ 1) / 3: what the full registers say. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0
  let x = share
  let weight = 1
  let sum = 1 - x
  for (;;) {
    x = Math.sqrt(x)
    weight *= 0.5
    const next = sum - (1 - x) * (1 - x) * weight
    if (next === sum) return sum / 3
    sum = next
  }
}

/** Base64 of the registers as numbers of six bits, so that each is one digit. */
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const CODES = Array.from(DIGITS, (digit) => digit.charCodeAt(0))
/** By character code; what is no register is 255. */
const RANKS = new Uint8Array(128).fill(255)
for (let rank = 0; rank <= REST_BITS + 1; rank++) RANKS[CODES[rank]!] = rank
/** A call takes only so many arguments. */
const PIECE = 4096

export function writeRegisters(registers: Registers): string {
  let text = ''
  for (let start = 0; start < REGISTERS; start += PIECE) {
    // oxlint-disable-next-line unicorn/no-new-array -- the length is known
    const codes = new Array<number>(PIECE)
    for (let i = 0; i < PIECE; i++) codes[i] = CODES[registers[start + i]!]!
    text += String.fromCharCode.apply(null, codes)
  }
  return text
}

export function readRegisters(text: string): Registers {
  assert(text.length === REGISTERS, `HyperLogLog has ${REGISTERS} registers, not ${text.length}`)
  const registers = createRegisters()
  for (let i = 0; i < REGISTERS; i++) {
    const rank = RANKS[text.charCodeAt(i)] ?? 255
    if (rank === 255) throw new AssertionError(`not a register of HyperLogLog: ${text.charAt(i)}`)
    registers[i] = rank
  }
  return registers
}
