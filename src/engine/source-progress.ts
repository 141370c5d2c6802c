/** Where a source of the merge stands among others that it follows, or that follow it: shards are split and merged. */
export interface SourceLineage {
  /** The sources that it follows. Absent: none. */
  readonly parents?: readonly string[]
  /** Of one that has ended: those that what follows is in. Absent: nothing follows. */
  readonly successors?: readonly string[]
}

/** What the merge knows of one source. */
export interface SourceProgress extends SourceLineage {
  /** The last epoch folded; −1 before the first. */
  readonly epoch: number
  readonly watermarkMs: number
  readonly idle: boolean
  readonly ended: boolean
  /** Of one that follows others: an epoch of data has been folded, and its watermark is its own. */
  readonly heard?: true
}

export const UNHEARD: SourceProgress = { epoch: -1, watermarkMs: -Infinity, idle: false, ended: false }

export type SourcesByTask = ReadonlyMap<string, SourceProgress>

/**
 * Whether W waits for a source. One that was handed on holds W where it has ended until each of those that follow it has been heard: they begin at the same
 * watermark, and what they have to add has come by nobody else. One that has yet to be heard holds nothing as long as one that it follows does: it cannot begin before.
 */
export function holdsWatermark(sources: SourcesByTask, task: string, source: SourceProgress): boolean {
  const { ended, successors, parents, heard } = source
  if (ended) return successors?.some((follower) => sources.get(follower)?.heard !== true) ?? true
  if (heard === true || parents === undefined) return true
  return !parents.some((parent) => isDueAfter(sources.get(parent), task))
}

/** Whether a source that has not begun waits for this one. */
function isDueAfter(parent: SourceProgress | undefined, task: string): boolean {
  return parent !== undefined && (!parent.ended || parent.successors?.includes(task) === true)
}

/** True where none of the sources, nor what follows them, will add anything more. */
export function areEnded(sources: SourcesByTask): boolean {
  for (const { ended, successors = [] } of sources.values())
    if (!ended || successors.some((follower) => !sources.has(follower))) return false
  return true
}
