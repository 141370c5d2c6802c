import { unreachable } from '../errors.ts'
import type { CalendarSpec, GlobalSpec, HoppingSpec, TumblingSpec } from '../topology/node.ts'
import { CalendarWindows } from './calendar-windows.ts'

/** Windows that are the same for all keys, and known by their start. */
export type AlignedSpec = TumblingSpec | CalendarSpec | HoppingSpec | GlobalSpec

/** The windows [start, end) of a spec. */
export interface AlignedWindows {
  /** The start of the window that holds a time: of several, the last. */
  startOf(timeMs: number): number
  /** The end of the window that starts there. */
  endOf(startMs: number): number
}

export function alignedWindows(spec: AlignedSpec): AlignedWindows {
  switch (spec.kind) {
    case 'tumbling':
      return new RegularWindows(spec.sizeMs, spec.sizeMs, spec.offsetMs)
    case 'hopping':
      return new RegularWindows(spec.sizeMs, spec.hopMs, spec.offsetMs)
    case 'calendar':
      return new CalendarWindows(spec)
    case 'global':
      return GLOBAL
    default:
      return unreachable(spec)
  }
}

/**
 * A window starts at each multiple of hop + offset. Floor, not truncation: windows before 1970 are like all others.
 *
 *   -5    0     5    10          size 5, hop 5, offset 0
 *    [-----)[-----)[-----)       -1 → -5    0 → 0    9 → 5
 */
class RegularWindows implements AlignedWindows {
  readonly #sizeMs: number
  readonly #hopMs: number
  readonly #offsetMs: number

  constructor(sizeMs: number, hopMs: number, offsetMs: number) {
    this.#sizeMs = sizeMs
    this.#hopMs = hopMs
    this.#offsetMs = offsetMs
  }

  startOf(timeMs: number): number {
    return Math.floor((timeMs - this.#offsetMs) / this.#hopMs) * this.#hopMs + this.#offsetMs
  }

  endOf(startMs: number): number {
    return startMs + this.#sizeMs
  }
}

/** One window without end. Its start is a number like others, so that it can be JSON; no table shows it. */
const GLOBAL: AlignedWindows = {
  startOf: () => 0,
  endOf: () => Infinity,
}
