import type { Clock, StopSignal } from '../ports.ts'
import { usageError } from './failure.ts'

/** How fast a recording is sent: as fast as the brokers take it, so many records a second, or as it arrived (times a factor). */
export type Rate =
  | { readonly kind: 'max' }
  | { readonly kind: 'per-second'; readonly records: number }
  | { readonly kind: 'speed'; readonly factor: number }

/** 'max', '1000' (a second), '1x', '60x'. */
export function parseRate(text: string): Rate {
  if (text === 'max') return { kind: 'max' }
  const match = /^(\d+(?:\.\d+)?)(x?)$/.exec(text.replaceAll(/[_,]/g, ''))
  const number = Number(match?.[1])
  if (match === null || !(number > 0) || !Number.isFinite(number)) {
    throw usageError(
      `--rate ${text} is no rate`,
      'Use max, records in a second (1000), or as fast as it was recorded (1x, 60x).',
    )
  }
  return match[2] === 'x' ? { kind: 'speed', factor: number } : { kind: 'per-second', records: number }
}

/** More than a timer is late anyway. */
const SLACK_MS = 5

/** Says when the next record is due. */
export class SendPace {
  readonly #rate: Rate
  readonly #clock: Clock
  readonly #signal: StopSignal
  #startMs: number | null = null
  #firstArrivalMs = 0
  #count = 0

  constructor(rate: Rate, clock: Clock, signal: StopSignal) {
    this.#rate = rate
    this.#clock = clock
    this.#signal = signal
  }

  /** Null where the record is due; else resolves when it is, or when the signal aborts. */
  wait(arrivalMs: number): Promise<void> | null {
    if (this.#rate.kind === 'max') return null
    const nowMs = this.#clock.nowMs()
    if (this.#startMs === null) {
      this.#startMs = nowMs
      this.#firstArrivalMs = arrivalMs
    }
    const sinceStartMs =
      this.#rate.kind === 'speed'
        ? (arrivalMs - this.#firstArrivalMs) / this.#rate.factor
        : (this.#count++ / this.#rate.records) * 1_000
    const leftMs = this.#startMs + sinceStartMs - nowMs
    return leftMs <= SLACK_MS ? null : this.#clock.sleep(leftMs, this.#signal)
  }

  /** The recording begins again: its times do too. */
  restart(): void {
    if (this.#rate.kind === 'speed') this.#startMs = null
  }
}
