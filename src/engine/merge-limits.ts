import { PipelineError } from '../errors.ts'
import type { StateLimitsSpec } from '../topology/node.ts'
import type { MergeWindow } from './merge-window.ts'

/** Panes of one merge task, where the program names no limit. Those of a count and a sum take some 130 bytes outside of the heap, short keys included. */
const PANES_MAX = 16_000_000
/** Of a `unique`: some 250 bytes each for short keys. */
const KEYS_MAX = 5_000_000

type Limited = Iterable<Pick<MergeWindow, 'plan' | 'openPanes' | 'panesMax' | 'keys'>>

/** Throws STATE_LIMIT where more windows are open than may be. */
export function checkPanes(windows: Limited, limits: StateLimitsSpec | undefined): void {
  const all = [...windows]
  const open = all.reduce((sum, window) => sum + window.openPanes, 0)
  const named = limits?.panesMax
  const largest = all.reduce((most, window) => (window.openPanes > most.openPanes ? window : most), all[0]!)
  if (open > (named ?? PANES_MAX)) throw tooManyPanes(largest, named ?? PANES_MAX, open)
  if (named !== undefined) return
  for (const window of all) {
    const panesMax = window.panesMax ?? PANES_MAX
    if (window.openPanes > panesMax) throw tooManyPanes(window, panesMax, open)
  }
}

/** Throws STATE_LIMIT where more keys are remembered than may be. */
export function checkKeys(windows: Limited, limits: StateLimitsSpec | undefined): void {
  const keysMax = limits?.keysMax ?? KEYS_MAX
  for (const { plan, keys = 0 } of windows) {
    if (keys <= keysMax) continue
    throw new PipelineError(
      'STATE_LIMIT',
      `${plan.node.name} remembers ${keys} keys in one merge task; limits.keysMax is ${keysMax}`,
      {
        advice:
          'Shorten the horizon of the dedupe, look which partition holds the watermark (millrace windows), raise mergeParallelism, or limits.keysMax where there is memory for it.',
      },
    )
  }
}

function tooManyPanes(
  { plan, openPanes }: Pick<MergeWindow, 'plan' | 'openPanes'>,
  panesMax: number,
  all: number,
) {
  return new PipelineError(
    'STATE_LIMIT',
    `${plan.node.name} has ${openPanes} open windows in one merge task${all === openPanes ? '' : `, ${all} with the other results`}; the limit is ${panesMax}`,
    {
      advice:
        'Windows are one for each key: look whether the key or the window is too fine, or which partition holds the watermark (millrace windows). Else raise mergeParallelism, or limits.panesMax where there is memory for it.',
    },
  )
}
