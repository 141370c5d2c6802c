import type { Clock, Entropy } from '../../ports.ts'
import type { Prng } from './prng.ts'
import type { SimProcess, SimScheduler } from './scheduler.ts'

/** Simulated time, shared by all processes. */
export class SimClock implements Clock {
  readonly #process: SimProcess
  readonly #scheduler: SimScheduler

  constructor(process: SimProcess, scheduler: SimScheduler) {
    this.#process = process
    this.#scheduler = scheduler
  }

  nowMs(): number {
    return this.#scheduler.nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#process.sleep(ms, signal)
  }
}

/** Names that do not repeat within a run and are the same in its repetition. */
export class SimEntropy implements Entropy {
  readonly #processName: string
  readonly #random: Prng
  #nonces = 0

  constructor(processName: string, random: Prng) {
    this.#processName = processName
    this.#random = random
  }

  nonce(): string {
    this.#nonces++
    return `${this.#processName.toLowerCase()}n${String(this.#nonces).padStart(5, '0')}`.padStart(12, '0')
  }

  random(): number {
    return this.#random.unit()
  }
}
