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
  const folded = heads.get('merge-0')?.work.state.sources
  for (const { id, records } of partitions) {
    const head = heads.get(id)
    const position = head?.work.state.position ?? null
    if (records.length > 0 && position !== `${id}~${records.length}`)
      wrong.push(`${id} is recorded up to ${position}, of ${records.length} records`)
    const upTo = folded?.[id]?.epoch ?? -1
    if (hasMerge && head !== undefined && upTo < head.epoch)
      wrong.push(`the merge has ${id} up to epoch ${upTo}, of ${head.epoch}`)
  }
  return wrong
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
  return input.kind === 'aggregate' || input.kind === 'late'
}
