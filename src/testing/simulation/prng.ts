/**
 * A small seeded generator: xoshiro128** of Blackman and Vigna, seeded by splitmix32. The simulator must not
 * depend on the engine's Math.random, whose sequence cannot be repeated.
 */
export class Prng {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    let state = seed | 0
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  /** 32 random bits, as an unsigned integer. */
  bits(): number {
    const r = Math.imul(this.#b, 5)
    const result = Math.imul((r << 7) | (r >>> 25), 9)
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  /** In [0, 1). */
  unit(): number {
    return this.bits() / 0x1_0000_0000
  }

  /** In [min, max], both inclusive. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1))
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)]!
  }

  /** An index, each as likely as its weight says. */
  weighted(weights: readonly number[]): number {
    let total = 0
    for (const weight of weights) total += weight
    let at = this.unit() * total
    for (let i = 0; i < weights.length; i++) {
      at -= weights[i]!
      if (at < 0) return i
    }
    return weights.length - 1
  }

  /** A generator of its own, so that one part's draws do not shift another's. */
  fork(): Prng {
    return new Prng(this.bits())
  }
}
