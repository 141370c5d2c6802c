import { unreachable } from '../errors.ts'
import { CountMergeWindow } from './count-merge-window.ts'
import type { MergeWindow, MergeWindowOptions } from './merge-window.ts'
import { PaneMergeWindow } from './pane-merge-window.ts'
import { SessionMergeWindow } from './session-merge-window.ts'
import { SlidingMergeWindow } from './sliding-merge-window.ts'
import { UniqueMergeWindow } from './unique-merge-window.ts'

/** The merge's side of a result. */
export function createMergeWindow(options: MergeWindowOptions): MergeWindow {
  const { node } = options.plan
  if (node.kind === 'unique') return new UniqueMergeWindow(options, node)
  switch (node.window.kind) {
    case 'tumbling':
    case 'calendar':
    case 'hopping':
    case 'global':
      return new PaneMergeWindow(options, node.window)
    case 'session':
      return new SessionMergeWindow(options, node)
    case 'sliding':
      return new SlidingMergeWindow(options, node, node.window)
    case 'count':
      return new CountMergeWindow(options, node, node.window)
    default:
      return unreachable(node.window)
  }
}
