import type { ReadResult, Source } from '../../src/ports.ts'

/** What one read of a partition does. */
export type ScriptedRead =
  /** Gives so many of its records, in one batch. */
  | number
  /** Gives something else. */
  | ReadResult
  /** Waits, throws, or decides late. */
  | (() => Promise<number | ReadResult> | number | ReadResult)

/**
 * A source whose reads of a partition are told one by one, as a live source could answer. When the script of a partition is over, or
 * where it has none, everything that is left is read to its end. A partition that is opened again goes on in its script.
 */
export function scriptedSource(
  inner: Source,
  script: Readonly<Record<string, readonly ScriptedRead[]>>,
): Source {
  const steps = new Map(Object.entries(script).map(([id, reads]) => [id, [...reads]]))
  return {
    description: 'a source with a script',
    isBacklog: false,
    partitions: () => inner.partitions(),
    async open(partition, position) {
      const reader = await inner.open(partition, position)
      return {
        async read(recordsMax) {
          const step = steps.get(partition.id)?.shift()
          const told = typeof step === 'function' ? await step() : step
          if (told === undefined) return reader.read(recordsMax)
          return typeof told === 'number' ? reader.read(told) : told
        },
        close: () => reader.close(),
      }
    },
    close: () => inner.close(),
  }
}

export const quiet = (arrivalClockMs: number): ReadResult => ({ kind: 'quiet', arrivalClockMs })

/** A promise that somebody else resolves. */
export interface Gate {
  readonly passed: Promise<void>
  open(): void
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { passed: promise, open: resolve }
}
