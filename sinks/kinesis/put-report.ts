import type { KinesisCounts } from '../../src/kinesis/counts.ts'
import type { SourceWorld } from '../../src/ports.ts'

const EVERY_MS = 60_000

/** Says in the log what was put again, in all so far: at the first time, then each minute in which there is more, and at the end. */
export class PutReport {
  readonly #counts: KinesisCounts
  readonly #kinesis: string
  readonly #world: Pick<SourceWorld, 'clock' | 'log'>
  #said = '{}'
  #saidMs = -Infinity

  constructor(counts: KinesisCounts, kinesis: string, world: Pick<SourceWorld, 'clock' | 'log'>) {
    this.#counts = counts
    this.#kinesis = kinesis
    this.#world = world
  }

  /** Called when something has been counted. */
  counted(): void {
    if (this.#world.clock.nowMs() - this.#saidMs >= EVERY_MS) this.say()
  }

  say(): void {
    const counts = this.#counts.toJSON()
    const text = JSON.stringify(counts)
    if (text === this.#said) return
    this.#said = text
    this.#saidMs = this.#world.clock.nowMs()
    this.#world.log.info(
      { kinesis: this.#kinesis, ...counts },
      'records that Kinesis refused or lost were put again',
    )
  }
}
