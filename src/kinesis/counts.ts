import type { PipelineError } from '../errors.ts'

/** What has gone wrong and was mended by trying again; and what was left out. */
export const KINESIS_COUNTS = [
  'throttled',
  'expiredIterators',
  'inUse',
  'lostConnections',
  'credentials',
  'resubscriptions',
  'foreignRecords',
] as const

export type KinesisCount = (typeof KINESIS_COUNTS)[number]

/** Counts of one source, one sink. */
export class KinesisCounts {
  readonly #counts = new Map<KinesisCount, number>()

  add(kind: KinesisCount, by = 1): void {
    this.#counts.set(kind, this.get(kind) + by)
  }

  get(kind: KinesisCount): number {
    return this.#counts.get(kind) ?? 0
  }

  /** Those above zero. */
  toJSON(): Partial<Record<KinesisCount, number>> {
    return Object.fromEntries(this.#counts)
  }
}

/** Counts a failure that waiting mends. Not credentials: the client does, because it mends most of them by itself. */
export function countFault(counts: KinesisCounts, { code }: PipelineError): void {
  switch (code) {
    case 'KINESIS_THROTTLED':
      return counts.add('throttled')
    case 'KINESIS_ITERATOR_EXPIRED':
      return counts.add('expiredIterators')
    case 'KINESIS_IN_USE':
      return counts.add('inUse')
    case 'KINESIS_CREDENTIALS':
      return
    default:
      counts.add('lostConnections')
  }
}
