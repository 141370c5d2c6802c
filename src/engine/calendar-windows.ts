import type { CalendarSpec } from '../topology/node.ts'
import type { AlignedWindows } from './window.ts'

export class CalendarWindows implements AlignedWindows {
  readonly #spec: CalendarSpec

  constructor(spec: CalendarSpec) {
    this.#spec = spec
  }

  startOf(): number {
    throw new TypeError(this.#spec.unit)
  }

  endOf(): number {
    throw new TypeError(this.#spec.unit)
  }
}
