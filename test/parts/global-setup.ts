import { closeRun, openRun } from './shared.ts'

/** vitest's global setup: parts are started by the first test that asks, and stopped when the run ends. */
export function setup(): () => Promise<void> {
  openRun()
  return closeRun
}
