import { type Duration, millis } from './duration.ts'
import type { LatePolicy, WindowSpec } from './node.ts'

export interface TumblingOptions {
  /** Where windows start, relative to 1970-01-01T00:00:00Z. Default: zero. hours(-1) makes days of UTC+1. */
  readonly offset?: Duration
}

/** Windows [start, start + size) side by side. */
export function tumbling(size: Duration, options: TumblingOptions = {}): WindowSpec {
  return { kind: 'tumbling', sizeMs: size, offsetMs: options.offset ?? millis(0) }
}

export interface WindowOptions<Late extends LatePolicy = LatePolicy> {
  /**
   * How long after its end a window still takes rows. There is no default: it is the choice between early results and
   * complete ones. Results come once, when the watermark reaches end + this.
   */
  readonly allowedLateness: Duration
  /** What becomes of rows that come later still. Default: 'dead-letter', so that nothing is lost. */
  readonly late?: Late
}
