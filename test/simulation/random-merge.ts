import type { Prng } from '../../src/testing/simulation/prng.ts'
import type {
  AggregateNode,
  PipelineSpec,
  ResultNode,
  RowNode,
  TableNode,
  TriggerSpec,
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
  if (node.window.kind !== 'tumbling' || random.chance(0.3)) return node
  const trigger: TriggerSpec = {
    ...(random.chance(0.6) ? { earlyEveryRows: random.pick([1, 1, 2, 5]) } : {}),
    ...(random.chance(0.4) ? { earlyEveryMs: random.pick([1, 1_000, 60_000]) } : {}),
    ...(random.chance(0.6) ? { refine: true } : {}),
  }
  if (Object.keys(trigger).length === 0) return node
  // Long enough for a pane to be written more than once.
  const sizeMs = Math.max(node.window.sizeMs, random.pick([1_000, 600_000, 24 * 3_600_000]))
  const allowedLatenessMs = Math.max(node.allowedLatenessMs, random.pick([0, 600_000]))
  return { ...node, trigger, window: { ...node.window, sizeMs }, allowedLatenessMs }
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
  const sizeMs = random.pick([60_000, 3_600_000, 6 * 3_600_000])
  return {
    kind: 'aggregate',
    name,
    input,
    keyBy: random.chance(0.5) ? keyNames(input).slice(0, 1) : [],
    window: { kind: 'tumbling', sizeMs, offsetMs: random.pick([0, 250]) },
    allowedLatenessMs: random.pick([0, 1_000]),
    late: 'drop',
    aggregates: [
      { name: 'a0_sum', spec: { kind: 'sum', field: counted } },
      { name: 'a1_count', spec: { kind: 'count', field: null } },
    ],
  }
}
