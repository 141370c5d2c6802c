/** Seeds that failed once, with what was wrong. They run on every test run, before the others. */
export const REGRESSIONS: readonly Regression[] = []

export interface Regression {
  readonly seed: number
  readonly story: string
  /** In a world with a Kafka. */
  readonly kafka?: boolean
}
