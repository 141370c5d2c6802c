import { unreachable } from '../errors.ts'
import { AlignedWindowStep } from './aligned-window-step.ts'
import { CountWindowStep } from './count-window-step.ts'
import type { Frame } from './frame.ts'
import type { ResultPlan } from './plan.ts'
import { SessionWindowStep } from './session-window-step.ts'
import { SlidingWindowStep } from './sliding-window-step.ts'
import { UniqueWindowStep } from './unique-window-step.ts'
import type { WindowStep } from './window-step.ts'

/** `task` orders rows of the same event time; '' where the rows are results. */
export function createWindowStep(plan: ResultPlan, frame: Frame, task: string): WindowStep {
  const { node } = plan
  if (node.kind === 'unique') return new UniqueWindowStep(plan, node, frame)
  const { window } = node
  switch (window.kind) {
    case 'tumbling':
    case 'calendar':
    case 'hopping':
    case 'global':
      return new AlignedWindowStep(plan, node, window, frame, task)
    case 'session':
      return new SessionWindowStep(plan, node, window, frame, task)
    case 'sliding':
      return new SlidingWindowStep(plan, node, window, frame, task)
    case 'count':
      return new CountWindowStep(plan, node, frame, task)
    default:
      return unreachable(window)
  }
}
