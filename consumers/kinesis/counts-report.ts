import { KINESIS_COUNTS, type KinesisCount, type KinesisCounts } from '../../src/kinesis/counts.ts'
import type { Clock, Log } from '../../src/ports.ts'

const EVERY_MS = 60_000

/** Says each minute in the log what has gone wrong and was mended since it was said last, and what was left out. */
export class CountsReport {
  readonly #counts: KinesisCounts
  readonly #stream: string
  readonly #world: { readonly clock: Clock; readonly log: Log }
  readonly #stopped = new AbortController()
  readonly #said = new Map<KinesisCount, number>()
  #isRunning = false

  constructor(counts: KinesisCounts, stream: string, world: { readonly clock: Clock; readonly log: Log }) {
    this.#counts = counts
    this.#stream = stream
    this.#world = world
  }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    void this.#run()
  }

  stop(): void {
    if (this.#stopped.signal.aborted) return
    this.#stopped.abort('the source is closed')
    this.#say()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#world.clock.sleep(EVERY_MS, signal)
      if (!signal.aborted) this.#say()
    }
  }

  #say(): void {
    const since: Partial<Record<KinesisCount, number>> = {}
    for (const kind of KINESIS_COUNTS) {
      const count = this.#counts.get(kind)
      const more = count - (this.#said.get(kind) ?? 0)
      if (more > 0) since[kind] = more
      this.#said.set(kind, count)
    }
    const { foreignRecords, ...mended } = since
    const { log } = this.#world
    const stream = this.#stream
    if (Object.keys(mended).length > 0) {
      log.info({ stream, ...mended }, 'what Kinesis refused or lost since, and was tried again')
    }
    if (foreignRecords !== undefined) {
      log.info(
        { stream, foreignRecords },
        'records of aggregates that belong to other shards: left out since',
      )
    }
  }
}
