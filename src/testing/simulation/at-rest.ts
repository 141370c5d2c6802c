import type { PipelineSpec } from '../../topology/node.ts'
import type { SimRecording } from './sim-source.ts'

/** The newest incarnation that has a record; 0 where there is none. */
export function newestIncarnation(objects: ReadonlyMap<string, Uint8Array>, pipeline: string): number {
  const incarnations = chainKeys(objects, pipeline).map(({ incarnation }) => incarnation)
  return Math.max(0, ...incarnations)
}

/**
 * What a pipeline has yet to record of an input that has come to rest, as sentences: partitions that are not read to their end, and epochs that the
 * merge has not folded.
 */
export function unreadInput(
  objects: ReadonlyMap<string, Uint8Array>,
  spec: PipelineSpec,
  { partitions }: SimRecording,
): readonly string[] {
  const incarnation = newestIncarnation(objects, spec.name)
  const heads = newestWork(objects, spec.name, incarnation)
  const wrong: string[] = []
  const hasMerge = [...spec.tables, ...(spec.topics ?? [])].some(({ input }) => isAggregated(input))
  const slices = hasMerge ? (spec.mergeParallelism ?? 1) : 0
  for (const { id, records } of partitions) {
    const head = heads.get(id)
    const position = head?.work.state.position ?? null
    // A shard may have moved on without a record.
    const place = position?.split('~', 2).join('~') ?? null
    if (records.length > 0 && place !== `${id}~${records.length}`)
      wrong.push(`${id} is recorded up to ${position}, of ${records.length} records`)
    if (head !== undefined) wrong.push(...unfolded(heads, id, head.epoch, 'merge', slices))
  }
  const isLater = [...heads.keys()].some((task) => task.startsWith('merge2-'))
  for (let slice = 0; slice < (isLater ? slices : 0); slice++) {
    const task = `merge-${slice}`
    wrong.push(...unfolded(heads, task, heads.get(task)?.epoch ?? -1, 'merge2', slices))
  }
  return wrong
}

/** What the slices of a stage of merge tasks have yet to fold of a task. */
function unfolded(
  heads: ReadonlyMap<string, Work>,
  task: string,
  head: number,
  stage: string,
  slices: number,
): readonly string[] {
  return Array.from({ length: slices }, (_, slice) => `${stage}-${slice}`).flatMap((merge) => {
    const upTo = heads.get(merge)?.work.state.sources?.[task]?.epoch ?? -1
    return upTo < head ? [`${merge} has ${task} up to epoch ${upTo}, of ${head}`] : []
  })
}

interface Work {
  readonly kind: string
  readonly epoch: number
  readonly work: {
    readonly state: {
      readonly position?: string | null
      readonly sources?: Readonly<Record<string, { readonly epoch: number }>>
    }
  }
}

/** The newest record with work of each task. */
function newestWork(
  objects: ReadonlyMap<string, Uint8Array>,
  pipeline: string,
  incarnation: number,
): ReadonlyMap<string, Work> {
  const heads = new Map<string, Work>()
  const keys = chainKeys(objects, pipeline).filter((key) => key.incarnation === incarnation)
  for (const { key, task } of keys.sort((a, b) => (a.key > b.key ? -1 : 1))) {
    if (heads.has(task)) continue
    const record = JSON.parse(new TextDecoder().decode(objects.get(key))) as Work
    if (record.kind === 'data') heads.set(task, record)
  }
  return heads
}

function chainKeys(
  objects: ReadonlyMap<string, Uint8Array>,
  pipeline: string,
): { readonly key: string; readonly incarnation: number; readonly task: string }[] {
  return [...objects.keys()].flatMap((key) => {
    const match = /^_millrace\/([^/]+)\/(\d+)\/([^/]+)\/\d+\.json$/.exec(key)
    if (match === null || match[1] !== pipeline || match[3]!.startsWith('_')) return []
    return [{ key, incarnation: Number(match[2]), task: match[3]! }]
  })
}

/** Late rows are found where the aggregate's input is judged: the plan has the aggregate then too. */
function isAggregated(input: { readonly kind: string }): boolean {
  return ['aggregate', 'late', 'having', 'unique'].includes(input.kind)
}
