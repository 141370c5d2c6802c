import { parseMergeTask } from '../checkpoint/keys.ts'
import { alignedWindows } from '../engine/window.ts'
import { unreachable } from '../errors.ts'
import type { AggregateNode, PipelineSpec, ResultNode, RowNode } from '../topology/node.ts'
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
  const stage = parseMergeTask(merge.task)?.stage
  return aggregates.flatMap((node) => {
    if (stageOf(node) !== stage) return []
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
  switch (window.kind) {
    case 'tumbling':
    case 'calendar': {
      const windows = alignedWindows(window)
      const startMs = windows.startOf(closedMs)
      return { startMs, endMs: windows.endOf(startMs) }
    }
    case 'hopping': {
      const { sizeMs, hopMs, offsetMs } = window
      const startMs = (Math.floor((closedMs - sizeMs - offsetMs) / hopMs) + 1) * hopMs + offsetMs
      return { startMs, endMs: startMs + sizeMs }
    }
    case 'sliding':
    case 'session':
    case 'count':
    case 'global':
      return null
    default:
      return unreachable(window)
  }
}

/** 0 over rows, 1 over results of those, … */
function stageOf(node: RowNode | ResultNode): number {
  if (node.kind === 'unique') return 0
  if (node.kind === 'having') return stageOf(node.input)
  if (node.kind !== 'aggregate') return -1
  return stageOf(node.input) + 1
}
