/** Seeds that failed once, with what was wrong. They run on every test run, before the others. */
export const REGRESSIONS: readonly { readonly seed: number; readonly story: string }[] = []
