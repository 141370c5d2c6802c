import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock, Entropy } from '../ports.ts'

/** The only clock and the only randomness of a real run. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve()
        return
      }
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done)
    }),
}

/** This process, for people: host and process id. */
export function processName(): string {
  return `${hostname()}:${process.pid}`
}

export const systemEntropy: Entropy = {
  nonce: () => randomBytes(6).toString('hex'),
  random: () => Math.random(),
}
