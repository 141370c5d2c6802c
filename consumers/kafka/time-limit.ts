import type { Clock } from '../../src/ports.ts'

/** Whether a promise settles within `ms`. Rejects as it does. */
export async function settlesWithin(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  const limit = new AbortController()
  try {
    return await Promise.race([promise.then(() => true), clock.sleep(ms, limit.signal).then(() => false)])
  } finally {
    limit.abort()
  }
}
