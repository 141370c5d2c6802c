import { type Alignment, slowestMoving } from './alignment.ts'
import { Chain } from './chain.ts'
import type { StopScope } from './stop-scope.ts'
import type { TaskContext } from './task-context.ts'
import { messageOf } from '../errors.ts'

/** Two requests each time: one record says how far all partitions are. */
const LOOK_EVERY_MS = 5_000

/**
 * Tells the alignment of this process how far the partitions of others are, as the newest record of the merge says it. Until it is asked to stop. What cannot be read is
 * looked at again: alignment is a courtesy to memory, and nothing that a run fails for.
 */
export async function watchOthers(
  context: TaskContext,
  mergeTask: string,
  alignment: Alignment,
  isLocal: (task: string) => boolean,
  scope: StopScope,
): Promise<void> {
  const { clock, log } = context
  const chain = new Chain(context, mergeTask)
  let before = new Map<string, number>()
  while (!scope.isStopping) {
    try {
      const head = await chain.readHead()
      if (head?.kind === 'data' && head.work.type === 'merge') {
        const others = new Map(Object.entries(head.work.state.sources).filter(([task]) => !isLocal(task)))
        alignment.observeOthers(slowestMoving(before, others))
        before = new Map([...others].map(([task, { watermarkMs }]) => [task, watermarkMs]))
      } else alignment.observeOthers(Infinity)
    } catch (error) {
      // Nobody waits for what nobody knows.
      alignment.observeOthers(Infinity)
      log.debug({ error: messageOf(error) }, 'could not look at the partitions of other processes')
    }
    await clock.sleep(LOOK_EVERY_MS, scope.signal)
  }
}
