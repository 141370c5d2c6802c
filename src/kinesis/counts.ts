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
