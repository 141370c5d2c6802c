import { counted, countText } from './format.ts'
import type { Channel } from './terminal.ts'

const DRAW_EVERY_MS = 200
const LINE_EVERY_MS = 10_000

/** How many records have passed, for commands that know no end: one line that is drawn again, or a line now and then where nobody watches. */
export class CountProgress {
  readonly #channel: Channel
  readonly #verb: string
  readonly #startMs = performance.now()
  #nextMs: number
  #lastMs = this.#startMs
  #lastCount = 0
  #isDrawn = false

  /** `verb`: 'sent', 'recorded'. */
  constructor(channel: Channel, verb: string) {
    this.#channel = channel
    this.#verb = verb
    this.#nextMs = this.#startMs + this.#everyMs
  }

  /** `more` stands behind the count: '3.4 MB'. */
  update(count: number, more: () => string = () => ''): void {
    const nowMs = performance.now()
    if (nowMs < this.#nextMs) return
    const perSecond = ((count - this.#lastCount) / (nowMs - this.#lastMs)) * 1_000
    this.#lastMs = nowMs
    this.#lastCount = count
    this.#nextMs = nowMs + this.#everyMs
    const parts = [
      `${counted(count, 'record')} ${this.#verb}`,
      `${countText(Math.round(perSecond))}/s`,
      more(),
    ]
    this.#show(parts.filter((part) => part !== '').join(' · '))
  }

  /** A line that stays. */
  line(text: string): void {
    this.clear()
    this.#channel.stream.write(`${text}\n`)
  }

  clear(): void {
    if (this.#isDrawn) this.#channel.stream.write('\r\u001b[2K')
    this.#isDrawn = false
  }

  get #everyMs(): number {
    return this.#channel.interactive ? DRAW_EVERY_MS : LINE_EVERY_MS
  }

  #show(text: string): void {
    const { interactive, stream, width } = this.#channel
    if (!interactive) {
      stream.write(`${text}\n`)
      return
    }
    this.clear()
    stream.write(text.slice(0, (width ?? 80) - 1))
    this.#isDrawn = true
  }
}
