import type { Prng } from '../../src/testing/simulation/prng.ts'
import type {
  AggregateNode,
  PipelineSpec,
  ResultNode,
  RowNode,
  TableNode,
  TriggerSpec,
  WindowSpec,
} from '../../src/topology/node.ts'
import { keyNames } from '../../src/testing/oracle/item.ts'

/**
 * What makes merge tasks work: slices, a second stage, triggers, `having`, tables with all revisions. Added to a random pipeline by a generator of
 * its own, so that the pipeline of a seed is otherwise what it was.
 */
export function withMergeTraits(random: Prng, spec: PipelineSpec): PipelineSpec {
  const known = new Map<AggregateNode, AggregateNode>()
  const traited = (node: AggregateNode): AggregateNode => {
    const made = known.get(node) ?? withTrigger(random, node)
    known.set(node, made)
    return made
  }
  const inputOf = (input: RowNode | ResultNode): RowNode | ResultNode => {
    if (input.kind === 'aggregate') return traited(input)
    if (input.kind === 'late' && input.input.kind === 'aggregate')
      return { ...input, input: traited(input.input) }
    return input
  }
  const tables = spec.tables.map((table) => ({ ...table, input: inputOf(table.input) }))
  const golds = tables.filter(({ input }) => input.kind === 'aggregate')
  const more = golds.flatMap((table, i) => moreTables(random, spec, table, i))
  const all = [...tables, ...more].map((table) =>
    table.layer === 'gold' && random.chance(0.25) ? { ...table, revisions: 'all' as const } : table,
  )
  const mergeParallelism = random.pick([1, 1, 2, 3])
  return { ...spec, tables: all, ...(mergeParallelism === 1 ? {} : { mergeParallelism }) }
}

function withTrigger(random: Prng, node: AggregateNode): AggregateNode {
  const { window } = node
  // Results in order come once.
  if (window.kind === 'sliding' || window.kind === 'count' || random.chance(0.3)) return node
  const trigger: TriggerSpec = {
    ...(random.chance(0.6) ? { earlyEveryRows: random.pick([1, 1, 2, 5]) } : {}),
    ...(random.chance(0.4) ? { earlyEveryMs: random.pick([1, 1_000, 60_000]) } : {}),
    ...(window.kind !== 'global' && random.chance(0.6) ? { refine: true } : {}),
  }
  if (Object.keys(trigger).length === 0) return node
  if (window.kind === 'global') return { ...node, trigger }
  const allowedLatenessMs = Math.max(node.allowedLatenessMs, random.pick([0, 600_000]))
  if (window.kind !== 'tumbling') return { ...node, trigger, allowedLatenessMs }
  // Long enough for a pane to be written more than once.
  const sizeMs = Math.max(window.sizeMs, random.pick([1_000, 600_000, 24 * 3_600_000]))
  return { ...node, trigger, window: { ...window, sizeMs }, allowedLatenessMs }
}

function moreTables(random: Prng, spec: PipelineSpec, table: TableNode, index: number): TableNode[] {
  const aggregate = table.input as AggregateNode
  const name = aggregate.aggregates.at(-1)!.name
  const made: TableNode[] = []
  if (random.chance(0.2)) {
    const predicate = random.pick<(row: never) => boolean>([
      (row: Record<string, bigint>) => row[name]! % 2n === 0n,
      (row: Record<string, bigint>) => row[name]! > 1n,
    ])
    const input: ResultNode = { kind: 'having', name: `many_${index}`, input: aggregate, predicate }
    made.push({ ...table, name: `many_${index}`, input })
  }
  // Where partitions may be idle, what the windows above see depends on timing.
  const isOver = aggregate.window.kind === 'global'
  if (!isOver && spec.source.watermark?.idleAfterMs == null && random.chance(0.5))
    made.push({ ...table, name: `again_${index}`, input: secondStage(random, aggregate, `again_${index}`) })
  return made
}

/** Rows of a result: its keys, window_start, window_end, its aggregates, of which the last is a count. */
function secondStage(random: Prng, input: AggregateNode, name: string): AggregateNode {
  const counted = input.aggregates.at(-1)!.name
  const names = keyNames(input)
  const keyBy = random.chance(0.5) ? names.slice(0, 1) : []
  const window = upperWindow(random, input, keyBy.length === names.length)
  return {
    kind: 'aggregate',
    name,
    input,
    keyBy,
    window,
    allowedLatenessMs: random.pick([0, 1_000]),
    late: 'drop',
    aggregates: [
      { name: 'a0_sum', spec: { kind: 'sum', field: counted } },
      ...(random.chance(0.3)
        ? OF_RESULTS.map(({ name: own, spec }) => ({ name: own, spec: { ...spec, field: counted } }))
        : []),
      { name: 'a1_count', spec: { kind: 'count', field: null } },
    ],
  }
}

const OF_RESULTS = [
  { name: 'a2_first', spec: { kind: 'first' } },
  { name: 'a3_last', spec: { kind: 'last' } },
  { name: 'a4_max', spec: { kind: 'max' } },
  { name: 'a5_distinct', spec: { kind: 'count-distinct', exactMax: 1_000 } },
  { name: 'a6_collect', spec: { kind: 'collect', max: 4 } },
  { name: 'a7_variance', spec: { kind: 'variance', of: 'sample' } },
] as const

function upperWindow(random: Prng, { window }: AggregateNode, hasOwnKeys: boolean): WindowSpec {
  const sizeMs = random.pick([60_000, 3_600_000, 6 * 3_600_000])
  // Which of the results of one millisecond is the first is not promised: a key must have one alone.
  const canCount = hasOwnKeys && window.kind !== 'count'
  switch (random.pick(['tumbling', 'tumbling', 'hopping', 'calendar', 'session', 'sliding', 'count'])) {
    case 'hopping':
      return { kind: 'hopping', sizeMs, hopMs: sizeMs / random.pick([1, 2, 4]), offsetMs: 0 }
    case 'calendar':
      return { kind: 'calendar', unit: 'day', timeZone: 'Europe/Berlin', weekStart: 1 }
    case 'session':
      return { kind: 'session', gapMs: random.pick([1, 1_000, 60_000, sizeMs]), gapField: null }
    case 'sliding':
      return { kind: 'sliding', sizeMs: random.pick([1, 60_000, sizeMs]) }
    case 'count':
      if (canCount) return { kind: 'count', rows: random.pick([1, 2, 3]) }
      break
    default:
  }
  return { kind: 'tumbling', sizeMs, offsetMs: random.pick([0, 250]) }
}
