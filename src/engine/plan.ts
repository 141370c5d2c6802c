import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { Field } from '../columns/column-type.ts'
import { PipelineError } from '../errors.ts'
import type { PartitionColumn, TableShape, TopicShape } from '../ports.ts'
import type { AggregateNode, PipelineSpec, RowNode, TableNode, TopicNode } from '../topology/node.ts'
import { resultFieldOf } from './accumulate/accumulator.ts'
import { DEAD_LETTERS_PATH, deadLetterFields } from './dead-letter.ts'
import { type FieldPath, resolveFieldPath } from './field-path.ts'
import { recordFields } from './record-columns.ts'

/** A pipeline with its fields resolved: what every task is made from. Throws PipelineError where something does not fit. */
export interface Plan {
  readonly spec: PipelineSpec
  readonly sourceFields: readonly Field[]
  readonly eventTime: FieldPath | null
  /** In the order of execution: inputs first. The source is not among them. */
  readonly steps: readonly StepPlan[]
  readonly aggregates: readonly AggregatePlan[]
  readonly bronze: readonly TablePlan[]
  readonly silver: readonly SilverPlan[]
  readonly gold: readonly GoldPlan[]
  readonly topics: readonly TopicPlan[]
  readonly deadLetters: TableShape
}

/** A row step. `input` is an index into `steps`, −1 the rows of the source that have an event time. */
export interface StepPlan {
  readonly node: Exclude<RowNode, { kind: 'source' }>
  readonly input: number
  /** The fields of its rows. */
  readonly fields: readonly Field[]
  /** The step whose `map` made the rows' columns; −1 for the source's. */
  readonly frame: number
}

export interface AggregatePlan {
  readonly node: AggregateNode
  readonly input: number
  readonly frame: number
  readonly keys: readonly FieldPath[]
  /** As in the gold table. */
  readonly keyFields: readonly Field[]
  /** Of each aggregate; null for `count()`. */
  readonly inputs: readonly (FieldPath | null)[]
  /** The row that a pane becomes. */
  readonly goldFields: readonly Field[]
}

export interface TablePlan {
  readonly node: TableNode
  readonly shape: TableShape
}

export interface SilverPlan extends TablePlan {
  readonly input: number
  readonly frame: number
}

export interface GoldPlan extends TablePlan {
  /** Index into `aggregates`. */
  readonly aggregate: number
}

/** Results of an aggregate for an outside topic. */
export interface TopicPlan {
  readonly node: TopicNode
  /** Index into `aggregates`. */
  readonly aggregate: number
  readonly shape: TopicShape
}

const PROCESSED_AT: Field = {
  name: '_processed_at',
  type: { kind: 'timestamp', unit: 'millis', local: false },
  nullable: false,
}
const INSTANT: Field['type'] = { kind: 'timestamp', unit: 'millis', local: false }

/** `topics` are the source's, for the columns that name them. */
export function compilePlan(spec: PipelineSpec, topics: readonly string[]): Plan {
  const sourceFields = fieldsOf(parseAvroSchema(spec.source.schema.avro))
  const compiler = new PlanCompiler(sourceFields)
  for (const table of spec.tables) compiler.addTable(table, topics)
  for (const topic of spec.topics ?? []) compiler.addTopic(topic)
  return {
    spec,
    sourceFields,
    eventTime: resolveEventTime(spec, sourceFields),
    steps: compiler.steps,
    aggregates: compiler.aggregates,
    bronze: compiler.bronze,
    silver: compiler.silver,
    gold: compiler.gold,
    topics: compiler.topics,
    deadLetters: {
      path: DEAD_LETTERS_PATH,
      fields: deadLetterFields(topics),
      partitionBy: [],
      options: {
        compression: 'snappy',
        rowGroupRows: 250_000,
        fileRowsMax: 250_000,
        dictionary: ['reason', 'stage', 'pipeline', 'task'],
      },
    },
  }
}

/** All tables that a run of the plan writes to. */
export function tableShapesOf(plan: Plan): readonly TableShape[] {
  return [...plan.bronze, ...plan.silver, ...plan.gold].map((table) => table.shape).concat(plan.deadLetters)
}

function resolveEventTime(spec: PipelineSpec, fields: readonly Field[]): FieldPath | null {
  if (spec.source.eventTime === null) return null
  const path = resolveFieldPath(fields, spec.source.eventTime, `stream ${spec.source.name}`)
  if (path.field.type.kind !== 'timestamp') {
    throw new PipelineError(
      'EVENT_TIME_TYPE',
      `stream ${spec.source.name}: ${path.path} is not a timestamp`,
      {
        advice: 'Event time needs a field of logical type timestamp-millis or timestamp-micros.',
      },
    )
  }
  return path
}

class PlanCompiler {
  readonly steps: StepPlan[] = []
  readonly aggregates: AggregatePlan[] = []
  readonly bronze: TablePlan[] = []
  readonly silver: SilverPlan[] = []
  readonly gold: GoldPlan[] = []
  readonly topics: TopicPlan[] = []
  readonly #sourceFields: readonly Field[]
  /** By name: a step that several tables share runs once. */
  readonly #stepIndex = new Map<string, number>()
  readonly #aggregateIndex = new Map<string, number>()

  constructor(sourceFields: readonly Field[]) {
    this.#sourceFields = sourceFields
  }

  addTable(node: TableNode, topics: readonly string[]): void {
    if (node.input.kind === 'aggregate') {
      const aggregate = this.#aggregate(node.input)
      this.gold.push({ node, aggregate, shape: this.#shape(node, this.aggregates[aggregate]!.goldFields) })
    } else if (node.layer === 'bronze') {
      this.bronze.push({ node, shape: this.#shape(node, [...this.#sourceFields, ...recordFields(topics)]) })
    } else {
      const input = this.#step(node.input)
      const fields = [...this.#fieldsOf(input), PROCESSED_AT]
      this.silver.push({ node, input, frame: this.#frameOf(input), shape: this.#shape(node, fields) })
    }
  }

  addTopic(node: TopicNode): void {
    const aggregate = this.#aggregate(node.input)
    const { keyFields, goldFields } = this.aggregates[aggregate]!
    this.topics.push({ node, aggregate, shape: { topic: node.name, keyFields, fields: goldFields } })
  }

  #fieldsOf(step: number): readonly Field[] {
    return step < 0 ? this.#sourceFields : this.steps[step]!.fields
  }

  #frameOf(step: number): number {
    return step < 0 ? -1 : this.steps[step]!.frame
  }

  #step(node: RowNode): number {
    if (node.kind === 'source') return -1
    const name = node.kind === 'late' ? `late rows of ${node.input.name}` : node.name
    const known = this.#stepIndex.get(name)
    if (known !== undefined) return known
    let input: number
    if (node.kind === 'late') {
      this.#aggregate(node.input)
      input = this.#step(node.input.input)
    } else input = this.#step(node.input)
    const index = this.steps.length
    this.steps.push({
      node,
      input,
      fields: node.kind === 'map' ? fieldsOf(parseAvroSchema(node.schema.avro)) : this.#fieldsOf(input),
      frame: node.kind === 'map' ? index : this.#frameOf(input),
    })
    this.#stepIndex.set(name, index)
    return index
  }

  #aggregate(node: AggregateNode): number {
    const known = this.#aggregateIndex.get(node.name)
    if (known !== undefined) return known
    const input = this.#step(node.input)
    const fields = this.#fieldsOf(input)
    const keys = node.keyBy.map((key) => resolveFieldPath(fields, key, node.name))
    const keyFields = keys.map((key) => ({ ...key.field, name: key.path.replaceAll('.', '_') }))
    const inputs = node.aggregates.map(({ spec }) =>
      spec.field === null ? null : resolveFieldPath(fields, spec.field, node.name),
    )
    const index = this.aggregates.length
    this.aggregates.push({
      node,
      input,
      frame: this.#frameOf(input),
      keys,
      keyFields,
      inputs,
      goldFields: [
        ...keyFields,
        { name: 'window_start', type: INSTANT, nullable: false },
        { name: 'window_end', type: INSTANT, nullable: false },
        ...node.aggregates.map((named, i) =>
          resultFieldOf(named, { input: inputs[i]?.field ?? null, by: null, row: fields }),
        ),
        { name: 'revision', type: { kind: 'int32' }, nullable: false },
      ],
    })
    this.#aggregateIndex.set(node.name, index)
    return index
  }

  #shape(node: TableNode, fields: readonly Field[]): TableShape {
    const path = `${node.layer}/${node.name}`
    const seen = new Set<string>()
    for (const { name } of fields) {
      if (seen.has(name.toLowerCase())) {
        throw new PipelineError('COLUMN_TWICE', `table ${path} would have the column ${name} twice`, {
          advice:
            'Column names differ by more than case. Rename the field in a map step, or name the aggregate otherwise.',
        })
      }
      seen.add(name.toLowerCase())
    }
    return {
      path,
      fields,
      partitionBy: node.partitionBy.map((by): PartitionColumn => {
        resolveFieldPath(fields, by.field, `table ${path}`)
        return by.kind === 'value' ? by : { ...by, name: `${by.field}_${by.kind}` }
      }),
      options: {
        compression: node.options.compression,
        rowGroupRows: node.options.rowGroupRows,
        fileRowsMax: node.options.fileRowsMax,
        dictionary: node.options.dictionary ?? defaultDictionary(node),
      },
    }
  }
}

/** Keys repeat in a gold table, so a dictionary pays there; elsewhere only the program can know. */
function defaultDictionary(node: TableNode): readonly string[] {
  return node.input.kind === 'aggregate' ? node.input.keyBy.map((key) => key.replaceAll('.', '_')) : []
}
