import type { ShardTarget } from '../../../consumers/kinesis/shard-fetch.ts'
import type { PipelineError } from '../../../src/errors.ts'
import type { ShardAnswer, ShardPlace, ShardStart } from '../../../src/kinesis/api.ts'
import type { Log } from '../../../src/ports.ts'

/** A reader of a shard that keeps what it gets. */
export class TestTarget implements ShardTarget {
  readonly place: ShardPlace
  start: ShardStart
  readonly answers: ShardAnswer[] = []
  readonly sequenceNumbers: string[] = []
  failure: PipelineError | null = null
  children: readonly string[] | null = null
  readonly #stop = new AbortController()
  readonly signal: AbortSignal = this.#stop.signal
  #isFull = false
  #waiting: (() => void)[] = []
  #watching: (() => void)[] = []

  constructor(place: ShardPlace, start: ShardStart = { kind: 'trim-horizon' }) {
    this.place = place
    this.start = start
  }

  room(): Promise<void> {
    if (!this.#isFull || this.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  accept(answer: ShardAnswer): void {
    if (this.children !== null) throw new Error('an answer after the end')
    this.answers.push(answer)
    this.sequenceNumbers.push(...answer.records.map(({ sequenceNumber }) => sequenceNumber))
    const last = answer.records.at(-1)
    if (last !== undefined) this.start = { kind: 'after', sequenceNumber: last.sequenceNumber }
    this.children = answer.children
    for (const look of this.#watching) look()
  }

  fail(error: PipelineError): void {
    this.failure = error
    for (const look of this.#watching) look()
  }

  /** Looks at each answer. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return
    await new Promise<void>((resolve) => {
      this.#watching.push(() => {
        if (condition()) resolve()
      })
    })
  }

  fill(): void {
    this.#isFull = true
  }

  drain(): void {
    this.#isFull = false
    this.#wake()
  }

  stop(): void {
    this.#stop.abort()
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

/** 'warn: reading is interrupted, trying again', … without those for developers. */
export function listLog(lines: string[]): Log {
  const add = (level: string) => (_fields: object, message: string) => {
    lines.push(`${level}: ${message}`)
  }
  const log: Log = {
    debug: () => {},
    info: add('info'),
    warn: add('warn'),
    error: add('error'),
    child: () => log,
  }
  return log
}
