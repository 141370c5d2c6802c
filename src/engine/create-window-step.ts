import { assert, unreachable } from '../errors.ts'
import { AlignedWindowStep } from './aligned-window-step.ts'
import type { Frame } from './frame.ts'
import type { ResultPlan } from './plan.ts'
import type { WindowStep } from './window-step.ts'

/** `task` orders rows of the same event time; '' where the rows are results. */
export function createWindowStep(plan: ResultPlan, frame: Frame, task: string): WindowStep {
  const { node } = plan
  assert(node.kind === 'aggregate', `${node.name}: unique`)
  const { window } = node
  switch (window.kind) {
    case 'tumbling':
    case 'calendar':
    case 'hopping':
    case 'global':
      return new AlignedWindowStep(plan, node, window, frame, task)
    case 'session':
    case 'sliding':
    case 'count':
      throw new TypeError(`${node.name}: ${window.kind}`)
    default:
      return unreachable(window)
  }
}
