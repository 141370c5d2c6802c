import type { Prng } from '../../src/testing/simulation/prng.ts'
import { schemaOf } from '../../src/testing/oracle/oracle.ts'
import type {
  AggregateNode,
  AggregateSpec,
  CircuitBreakerSpec,
  ExpectRule,
  NamedAggregate,
  PartitionSpec,
  PipelineSpec,
  RowNode,
  SourceNode,
  TableNode,
} from '../../src/topology/node.ts'
import { READING, SLIM } from './reading-schema.ts'

/** A pipeline with a few steps, silver tables at some of them, and up to three windows. */
export function randomPipeline(random: Prng): PipelineSpec {
  const source = randomSource(random)
  const tables: TableNode[] = []
  if (random.chance(0.85)) tables.push(table(random, 'bronze', 'readings', source))

  let node: RowNode = source
  const nodes: RowNode[] = [source]
  const stepCount = random.integer(0, 4)
  for (let i = 0; i < stepCount; i++) {
    // Mostly a chain; sometimes a branch, so that a step is shared by two.
    const input: RowNode = random.chance(0.25) ? random.pick(nodes) : node
    node = randomStep(random, input, `${i}`, source.eventTime !== null)
    nodes.push(node)
  }
  const silverCount = random.integer(0, 2)
  for (let i = 0; i < silverCount; i++) tables.push(table(random, 'silver', `rows_${i}`, random.pick(nodes)))
  if (stepCount > 0 && random.chance(0.8)) tables.push(table(random, 'silver', 'last', node))
  if (source.eventTime !== null) {
    const windowCount = random.pick([0, 1, 1, 2, 3])
    for (let i = 0; i < windowCount; i++) {
      const aggregate = randomAggregate(random, random.pick(nodes), `window_${i}`)
      if (aggregate.late !== 'side-table' || random.chance(0.7))
        tables.push(table(random, 'gold', `panes_${i}`, aggregate))
      if (aggregate.late === 'side-table') {
        tables.push(table(random, 'silver', `late_${i}`, { kind: 'late', input: aggregate }))
      }
    }
  }
  if (tables.length === 0) tables.push(table(random, 'bronze', 'readings', source))
  return { name: 'simulated', source, tables, circuitBreaker: randomBreaker(random) }
}

function randomBreaker(random: Prng): CircuitBreakerSpec | null {
  if (random.chance(0.8)) return null
  return { maxShare: random.pick([0.3, 0.5, 0.9]), sample: random.pick([5, 20, 50]) }
}

const MINUTE_MS = 60_000

function randomSource(random: Prng): SourceNode {
  const eventTime = random.pick([null, 'at', 'at', 'at', 'seen', 'seen'])
  return {
    kind: 'source',
    name: 'readings',
    schema: { avro: READING },
    eventTime,
    watermark:
      eventTime === null
        ? null
        : {
            kind: 'bounded-out-of-orderness',
            boundMs: random.pick([0, 1_000, 30_000]),
            idleAfterMs: random.pick([null, null, 1_000, MINUTE_MS]),
            futureLimitMs: random.pick([MINUTE_MS, 60 * MINUTE_MS]),
          },
  }
}

function randomStep(random: Prng, input: RowNode, suffix: string, timed: boolean): RowNode {
  switch (
    random.pick(timed ? ['expect', 'filter', 'map', 'dedupe', 'dedupe'] : ['expect', 'filter', 'map'])
  ) {
    case 'expect':
      return { kind: 'expect', name: `sane_${suffix}`, input, rules: randomRules(random) }
    case 'filter':
      return { kind: 'filter', name: `some_${suffix}`, input, predicate: randomPredicate(random) }
    case 'map':
      return {
        kind: 'map',
        name: `slim_${suffix}`,
        input,
        schema: { avro: SLIM },
        transform: randomTransform(random),
      }
    default:
      return {
        kind: 'dedupe',
        name: `once_${suffix}`,
        input,
        by: random.pick([['id'], ['id', 'zone'], ['distance'], ['price', 'level']]),
        withinMs: random.pick([1, 5_000, 10 * MINUTE_MS]),
      }
  }
}

const RULES: readonly ExpectRule[] = [
  { field: 'level', rule: { kind: 'between', min: 0, max: 7 } },
  { field: 'fare', rule: { kind: 'at-most', max: 1e16 } },
  { field: 'distance', rule: { kind: 'at-least', min: 0n } },
  { field: 'price', rule: { kind: 'between', min: -500, max: 15_000 } },
  { field: 'zone', rule: { kind: 'not-null' } },
  { field: 'zone', rule: { kind: 'one-of', values: ['a', 'b', 'c', 'ä', ''] } },
  { field: 'zone', rule: { kind: 'length-between', min: 0, max: 1 } },
  { field: 'id', rule: { kind: 'matches', pattern: '^k[1-8]', flags: '' } },
  { field: 'level', rule: { kind: 'satisfies', test: (value) => value !== 5 } },
  { field: 'fare', rule: { kind: 'satisfies', test: (value) => throwsAt(value, 3.3) || true } },
]

function randomRules(random: Prng): readonly ExpectRule[] {
  return Array.from({ length: random.integer(1, 2) }, () => random.pick(RULES))
}

interface Reading {
  readonly id: string
  readonly level: number
  readonly fare: number
  readonly seen: bigint
  readonly distance: bigint | null
}

function randomPredicate(random: Prng): (row: never) => boolean {
  return random.pick<(row: never) => boolean>([
    (row: Reading) => row.level !== 4,
    (row: Reading) => row.id !== 'k2',
    (row: Reading) => row.distance === null || row.distance % 3n !== 0n,
    (row: Reading) => throwsAt(row.level, 6) || row.fare < 100,
  ])
}

function randomTransform(random: Prng): (row: never) => unknown {
  return random.pick<(row: never) => unknown>([
    (row: Reading) => slim(row),
    (row: Reading) => (row.level === 3 ? null : { ...slim(row), level: row.level >> 1 }),
    // Out of the range of an int for some rows.
    (row: Reading) => ({ ...slim(row), level: row.level * 3 }),
    (row: Reading) => ({
      ...slim(row),
      fare: throwsAt(row.level, 8) ? 0 : row.fare / 3,
      seen: row.seen + 1n,
    }),
    // Not a string for some rows, and a field that the schema does not have for others.
    (row: Reading) => ({ ...slim(row), id: row.level === 1 ? 1 : `${row.id}!` }),
    (row: Reading) => (row.level === 2 ? { ...slim(row), surprise: 1 } : slim(row)),
  ])
}

function slim(row: Reading): object {
  return Object.fromEntries(SLIM.fields.map(({ name }) => [name, row[name as keyof Reading]]))
}

function throwsAt(value: unknown, bad: unknown): boolean {
  if (value === bad) throw new Error(`no ${String(bad)} please`)
  return false
}

function randomAggregate(random: Prng, input: RowNode, name: string): AggregateNode {
  const sizeMs = random.pick([1_000, MINUTE_MS, 60 * MINUTE_MS])
  return {
    kind: 'aggregate',
    name,
    input,
    keyBy: random
      .pick([['zone'], ['id'], ['zone', 'id'], ['level'], ['open', 'zone'], ['price'], ['distance', 'level']])
      .map((key) => (hasField(input, key) ? key : 'id'))
      .filter((key, i, keys) => keys.indexOf(key) === i),
    window: { kind: 'tumbling', sizeMs, offsetMs: random.pick([0, 0, 250, sizeMs - 1]) },
    allowedLatenessMs: random.pick([0, 0, 1_000, 10 * MINUTE_MS]),
    late: random.pick(['dead-letter', 'side-table', 'drop']),
    aggregates: randomAggregates(random, input),
  }
}

function randomAggregates(random: Prng, input: RowNode): readonly NamedAggregate[] {
  const specs: AggregateSpec[] = [
    { kind: 'count', field: null },
    { kind: 'count', field: 'distance' },
    { kind: 'sum', field: 'distance' },
    { kind: 'sum', field: 'level' },
    { kind: 'sum', field: 'fare' },
    { kind: 'sum', field: 'weight' },
    { kind: 'sum', field: 'price' },
    { kind: 'avg', field: 'fare' },
    { kind: 'avg', field: 'distance' },
    { kind: 'avg', field: 'price' },
    { kind: 'min', field: 'fare' },
    { kind: 'max', field: 'fare' },
    { kind: 'min', field: 'zone' },
    { kind: 'max', field: 'zone' },
    { kind: 'max', field: 'price' },
    { kind: 'min', field: 'distance' },
    { kind: 'max', field: 'seen' },
    { kind: 'min', field: 'level' },
  ]
  return specs
    .filter((spec) => (spec.field === null || hasField(input, spec.field)) && random.chance(0.4))
    .concat({ kind: 'count', field: null })
    .map((spec, i) => ({ name: `a${i}_${spec.kind}`, spec }))
}

function hasField(node: RowNode, name: string): boolean {
  return (schemaOf(node) as typeof READING).fields.some((field) => field.name === name)
}

function table(random: Prng, layer: TableNode['layer'], name: string, input: TableNode['input']): TableNode {
  const candidates: PartitionSpec[] =
    input.kind === 'aggregate'
      ? [{ kind: 'day', field: 'window_start' }]
      : [
          { kind: 'value', field: 'zone' },
          { kind: 'hour', field: 'seen' },
        ]
  return {
    layer,
    name,
    input,
    partitionBy: random.chance(0.75) ? [] : [random.pick(candidates)],
    options: {
      compression: 'snappy',
      rowGroupRows: random.pick([7, 1_000]),
      fileRowsMax: random.pick([3, 1_000, 1_000]),
      dictionary: null,
    },
  }
}
