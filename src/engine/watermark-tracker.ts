import type { WatermarkSpec } from '../topology/node.ts'

/**
 * The watermark of one source partition. W says that no more rows with an event time below W are expected; it advances row
 * by row in position order, and never goes back.
 */
export class WatermarkTracker {
  readonly #boundMs: number
  #watermarkMs: number

  constructor(spec: WatermarkSpec, watermarkMs: number) {
    this.#boundMs = spec.kind === 'bounded-out-of-orderness' ? spec.boundMs : Infinity
    this.#watermarkMs = watermarkMs
  }

  get watermarkMs(): number {
    return this.#watermarkMs
  }

  /** before[i] becomes W as row i found it, and W moves on, for i in [from, to). */
  advance(timesMs: Float64Array, before: Float64Array, from: number, to: number): void {
    const bound = this.#boundMs
    let watermark = this.#watermarkMs
    for (let i = from; i < to; i++) {
      before[i] = watermark
      const candidate = timesMs[i]! - bound
      if (candidate > watermark) watermark = candidate
    }
    this.#watermarkMs = watermark
  }

  /** The end of the input: nothing is expected any more. */
  end(): void {
    this.#watermarkMs = Infinity
  }
}
