import type { Prng } from '../../src/testing/simulation/prng.ts'
import { schemaOf } from '../../src/testing/oracle/oracle.ts'
import { isResult } from '../../src/testing/oracle/results.ts'
import type {
  AggregateNode,
  AggregateSpec,
  KeySpec,
  NamedAggregate,
  PipelineSpec,
  ResultNode,
  RowNode,
  SourceNode,
  TableNode,
  UniqueNode,
  WatermarkLimits,
  WatermarkSpec,
  WindowSpec,
} from '../../src/topology/node.ts'
import type { READING } from './reading-schema.ts'

/**
 * All kinds of windows, watermarks, keys and aggregates. Put into a random pipeline by a generator of its own, so that the pipeline of a seed is
 * otherwise what it was. What depends on timing where partitions may be idle (the order of rows that come after it) is left out there.
 */
export function withWindowTraits(random: Prng, spec: PipelineSpec): PipelineSpec {
  const traits = new WindowTraits(random, spec)
  const tables = spec.tables.map((table): TableNode => ({ ...table, input: traits.node(table.input) }))
  return { ...spec, source: traits.node(spec.source), tables: [...tables, ...traits.uniqueTables()] }
}

type Node = RowNode | ResultNode

class WindowTraits {
  readonly #random: Prng
  readonly #spec: PipelineSpec
  readonly #isOrdered: boolean
  /** A node that several tables share stays one. */
  readonly #known = new Map<Node, Node>()
  readonly #uniques: UniqueNode[] = []

  constructor(random: Prng, spec: PipelineSpec) {
    this.#random = random
    this.#spec = spec
    this.#isOrdered = spec.source.watermark?.idleAfterMs == null
  }

  node<N extends Node>(node: N): N {
    const made = this.#known.get(node) ?? this.#make(node)
    this.#known.set(node, made)
    return made as N
  }

  /** Tables of the dedupes over all partitions that windows read. */
  uniqueTables(): readonly TableNode[] {
    const { options } = this.#spec.tables[0]!
    return this.#uniques.flatMap((input): TableNode[] => {
      const rows: TableNode = { layer: 'silver', name: input.name, input, partitionBy: [], options }
      if (input.late !== 'side-table') return [rows]
      const late: RowNode = { kind: 'late', input }
      return [rows, { layer: 'silver', name: `${input.name}_late`, input: late, partitionBy: [], options }]
    })
  }

  #make(node: Node): Node {
    if (node.kind === 'source') return this.#source(node)
    if (node.kind === 'late') return { ...node, input: this.node(node.input) }
    const moved = { ...node, input: this.node<Node>(node.input) } as Exclude<Node, SourceNode>
    return moved.kind === 'aggregate' ? this.#aggregate(moved) : moved
  }

  #source(node: SourceNode): SourceNode {
    const { watermark, eventTime } = node
    if (watermark === null || eventTime === null) return node
    return { ...node, watermark: randomWatermark(this.#random, watermark, eventTime) }
  }

  #aggregate(node: AggregateNode): AggregateNode {
    const random = this.#random
    const input = node.input as RowNode
    const windowed: AggregateNode = {
      ...node,
      window: this.#window(node),
      keyBy: randomKeys(random, node.keyBy, input),
      aggregates: randomAggregates(random, node.aggregates, input),
    }
    // Late rows of a window that has none would go nowhere.
    if (node.late === 'side-table' || !this.#isOrdered || random.chance(0.85)) return windowed
    // Of results of one millisecond no order is promised that another could compute.
    if (windowed.window.kind === 'count') return windowed
    const unique: UniqueNode = {
      kind: 'unique',
      name: `${node.name}_unique`,
      input,
      by: random.pick([['id'], ['id', 'zone'], ['level']]),
      withinMs: random.pick([1, 5_000, 600_000]),
      allowedLatenessMs: random.pick([0, 1_000, 60_000]),
      late: random.pick(['dead-letter', 'side-table', 'drop']),
    }
    this.#uniques.push(unique)
    // Results cannot be refused: keys and callbacks that throw are for rows of partitions, and so are gaps beyond any date.
    const { window } = windowed
    return {
      ...windowed,
      input: unique,
      window: window.kind === 'session' ? { ...window, gapField: null } : window,
      keyBy: node.keyBy,
      aggregates: node.aggregates,
    }
  }

  #window({ window, late }: AggregateNode): WindowSpec {
    const random = this.#random
    const kinds = ['tumbling', 'tumbling', 'tumbling', 'calendar', 'hopping', 'session', 'session', 'sliding']
    if (this.#isOrdered) kinds.push('count')
    if (late !== 'side-table') kinds.push('global')
    switch (random.pick(kinds)) {
      case 'calendar':
        return {
          kind: 'calendar',
          unit: random.pick(['day', 'day', 'week', 'month']),
          timeZone: random.pick(['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu']),
          weekStart: random.integer(1, 7),
        }
      case 'hopping': {
        const hopMs = random.pick([250, 7_000, 60_000, 1_000_000])
        const sizeMs = Math.floor(hopMs * random.pick([0.5, 1, 2, 2.5, 5]))
        return { kind: 'hopping', sizeMs, hopMs, offsetMs: random.pick([0, 0, 100]) }
      }
      case 'session':
        return {
          kind: 'session',
          gapMs: random.pick([1, 250, 5_000, 60_000]),
          gapField: random.pick([null, null, 'level', 'distance']),
        }
      case 'sliding':
        return { kind: 'sliding', sizeMs: random.pick([1, 1_000, 5_000, 600_000]) }
      case 'count':
        return { kind: 'count', rows: random.pick([1, 2, 3, 10]) }
      case 'global':
        return { kind: 'global' }
      default:
        return window
    }
  }
}

interface Reading {
  readonly id: string
  readonly level: number
  readonly seen: bigint
}

function randomWatermark(random: Prng, watermark: WatermarkSpec, eventTime: string): WatermarkSpec {
  const { idleAfterMs, futureLimitMs } = watermark
  const limits: WatermarkLimits = { idleAfterMs, futureLimitMs }
  switch (random.pick(['as it is', 'as it is', 'as it is', 'punctuated', 'custom'])) {
    case 'punctuated':
      return { kind: 'punctuated', field: eventTime === 'at' ? 'seen' : 'at', ...limits }
    case 'custom': {
      const behindMs = random.pick([0, 30_000])
      return {
        kind: 'custom',
        watermarkOf: random.pick<(row: never, timeMs: number) => number | null>([
          (_: Reading, timeMs) => timeMs - behindMs,
          (row: Reading, timeMs) => (row.level === 2 ? null : timeMs - behindMs),
          (row: Reading, timeMs) =>
            row.level === 3 ? Number.NaN : row.level === 9 ? fail() : timeMs - behindMs,
        ]),
        ...limits,
      }
    }
    default:
      return watermark
  }
}

function fail(): never {
  throw new Error('not this one')
}

function randomKeys(random: Prng, keyBy: readonly KeySpec[], input: RowNode): readonly KeySpec[] {
  const computed: KeySpec = random.pick<KeySpec>([
    { name: 'shout', type: 'string', of: (row: Reading) => `${row.id}!` },
    {
      name: 'parity',
      type: ['null', 'long'],
      of: (row: Reading) => (row.level === 0 ? null : row.seen % 2n),
    },
    { name: 'picky', type: 'int', of: (row: Reading) => (row.level === 7 ? fail() : row.level * 2 ** 28) },
  ])
  switch (random.pick(['as it is', 'as it is', 'as it is', 'none', 'computed'])) {
    case 'none':
      return []
    case 'computed':
      return hasField(input, 'level') ? [computed, ...keyBy.slice(1)] : keyBy
    default:
      return keyBy
  }
}

const EXTRA: readonly AggregateSpec[] = [
  { kind: 'count-if', field: null, predicate: (row: Reading) => row.level % 2 === 0 },
  {
    kind: 'count-if',
    field: null,
    predicate: (row: Reading) => (row.level === 6 ? fail() : row.id === 'k1'),
  },
  { kind: 'variance', field: 'level', of: 'sample' },
  { kind: 'variance', field: 'price', of: 'population' },
  { kind: 'variance', field: 'weight', of: 'population' },
  { kind: 'stddev', field: 'fare', of: 'sample' },
  { kind: 'stddev', field: 'distance', of: 'sample' },
  { kind: 'first', field: 'zone' },
  { kind: 'last', field: 'distance' },
  { kind: 'min-by', field: 'zone', by: 'fare' },
  { kind: 'max-by', field: 'distance', by: 'level' },
  { kind: 'max-by', field: 'id', by: 'price' },
  { kind: 'count-distinct', field: 'zone', exactMax: 1_000 },
  { kind: 'count-distinct', field: 'fare', exactMax: 1_000 },
  { kind: 'quantile', field: 'fare', q: 0.5, accuracy: 0.01 },
  { kind: 'quantiles', field: 'level', qs: [0, 0.25, 1], accuracy: 0.05 },
  { kind: 'top-k', field: 'id', by: 'fare', k: 3 },
  { kind: 'top-k', field: 'price', by: 'seen', k: 2 },
  { kind: 'most-frequent', field: 'zone', k: 2, distinctMax: 10_000 },
  { kind: 'most-frequent', field: 'fare', k: 3, distinctMax: 10_000 },
  { kind: 'collect', field: 'level', max: 5 },
  { kind: 'collect', field: 'zone', max: 2 },
  {
    kind: 'custom',
    field: null,
    type: 'string',
    init: () => [],
    add: (ids: readonly string[], row: Reading) => (row.level === 8 ? fail() : [...ids, row.id].sort()),
    merge: (left: readonly string[], right: readonly string[]) => [...left, ...right].sort(),
    result: (ids: readonly string[]) => ids.join(' '),
  },
]

/** The count stays the last: others build on it. */
function randomAggregates(
  random: Prng,
  aggregates: readonly NamedAggregate[],
  input: RowNode,
): readonly NamedAggregate[] {
  const share = random.pick([0, 0.1, 0.4])
  const extra = EXTRA.filter(
    (spec) =>
      (spec.field === null || hasField(input, spec.field)) &&
      (!('by' in spec) || hasField(input, spec.by)) &&
      random.chance(share),
  ).map((spec, i) => ({ name: `b${i}_${spec.kind.replaceAll('-', '_')}`, spec }))
  return [...aggregates.slice(0, -1), ...extra, aggregates.at(-1)!]
}

function hasField(node: RowNode | ResultNode, name: string): boolean {
  if (isResult(node)) return false
  return (schemaOf(node) as typeof READING).fields.some((field) => field.name === name)
}
