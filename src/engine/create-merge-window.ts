import { assert, unreachable } from '../errors.ts'
import type { MergeWindow, MergeWindowOptions } from './merge-window.ts'
import { PaneMergeWindow } from './pane-merge-window.ts'
import { SessionMergeWindow } from './session-merge-window.ts'

/** The merge's side of a result. */
export function createMergeWindow(options: MergeWindowOptions): MergeWindow {
  const { node } = options.plan
  assert(node.kind === 'aggregate', `${node.name}: unique`)
  switch (node.window.kind) {
    case 'tumbling':
    case 'calendar':
    case 'hopping':
    case 'global':
      return new PaneMergeWindow(options, node.window)
    case 'session':
      return new SessionMergeWindow(options, node)
    case 'sliding':
    case 'count':
      assert(false, `${node.name}: ${node.window.kind}`)
      break
    default:
      return unreachable(node.window)
  }
}
