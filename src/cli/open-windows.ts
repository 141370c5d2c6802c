import type { AggregateNode, PipelineSpec } from '../topology/node.ts'
import { outputsOf, stepsOf } from '../topology/validate.ts'
import { type MergeHold, type OpenWindow, openWindow } from './windows-report.ts'

/** The aggregates of a program over rows, each once. */
export function aggregatesOf(spec: PipelineSpec): readonly AggregateNode[] {
  return stepsOf(outputsOf(spec)).filter((node): node is AggregateNode => node.kind === 'aggregate')
}

/** Of each aggregate the windows that end at a time, or where none is given the oldest that is still open, if its windows lie on a grid. */
export function openWindows(
  aggregates: readonly AggregateNode[],
  merge: MergeHold,
  endMs: number | null,
): readonly OpenWindow[] {
  return aggregates.flatMap((node) => {
    const { name, allowedLatenessMs } = node
    const span = endMs === null ? oldestOpen(node, merge.watermarkMs) : { startMs: null, endMs }
    return span === null ? [] : [openWindow(merge, name, { ...span, allowedLatenessMs })]
  })
}

/** Sessions, counts and the like depend on the rows: they have no oldest window that the program alone could tell. */
function oldestOpen(
  { window, allowedLatenessMs }: AggregateNode,
  watermarkMs: number,
): { readonly startMs: number; readonly endMs: number } | null {
  if (!Number.isFinite(watermarkMs)) return null
  // The first whose end is above it.
  const closedMs = watermarkMs - allowedLatenessMs
  if (window.kind === 'tumbling') {
    const { sizeMs, offsetMs } = window
    const startMs = Math.floor((closedMs - offsetMs) / sizeMs) * sizeMs + offsetMs
    return { startMs, endMs: startMs + sizeMs }
  }
  if (window.kind === 'hopping') {
    const { sizeMs, hopMs, offsetMs } = window
    const startMs = (Math.floor((closedMs - sizeMs - offsetMs) / hopMs) + 1) * hopMs + offsetMs
    return { startMs, endMs: startMs + sizeMs }
  }
  return null
}
