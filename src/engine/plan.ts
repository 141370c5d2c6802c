import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { Field } from '../columns/column-type.ts'
import { PipelineError } from '../errors.ts'
import type { TableShape, TopicShape } from '../ports.ts'
import type {
  AggregateNode,
  HavingNode,
  PipelineSpec,
  RowNode,
  TableNode,
  TopicNode,
  UniqueNode,
} from '../topology/node.ts'
import { DEAD_LETTERS_PATH, deadLetterFields } from './dead-letter.ts'
import { type FieldPath, resolveFieldPath } from './field-path.ts'
import { PlanCompiler } from './plan-compiler.ts'

/** A pipeline with its fields resolved: what every task is made from. Throws PipelineError where something does not fit. */
export interface Plan {
  readonly spec: PipelineSpec
  readonly sourceFields: readonly Field[]
  readonly eventTime: FieldPath | null
  /** The field of the record that carries the watermark, where one does. */
  readonly punctuation: FieldPath | null
  /** In the order of execution: inputs first. The source is not among them. */
  readonly steps: readonly StepPlan[]
  /** What merge tasks make; inputs before those that read them. */
  readonly results: readonly ResultPlan[]
  readonly bronze: readonly TablePlan[]
  /** Of rows of the partitions. */
  readonly silver: readonly SilverPlan[]
  /** Every table that merge tasks write: gold, and silver of rows that are unique over all partitions. */
  readonly gold: readonly GoldPlan[]
  readonly topics: readonly TopicPlan[]
  readonly deadLetters: TableShape
  /** Of merge tasks; 0 where the pipeline has no results. */
  readonly stages: number
  /** Merge tasks of each stage: the keys are divided among them. */
  readonly slices: number
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

/** A window with its aggregates, or a dedupe over all partitions: partition tasks (or the stage below) add to it, merge tasks finish it. */
export interface ResultPlan {
  readonly node: AggregateNode | UniqueNode
  /** 0: over rows of partitions; 1: over results of stage 0; … */
  readonly stage: number
  /** Index into `steps`, −1 the source; −1 too for stages above 0. */
  readonly input: number
  readonly frame: number
  /** Null at stage 0: the result whose final rows come in, and which of them. */
  readonly from: ResultInput | null
  /** Of the rows that come in. */
  readonly rowFields: readonly Field[]
  readonly keys: readonly KeyPlan[]
  /** Of the keys, as in the gold table. */
  readonly keyFields: readonly Field[]
  /** Of each aggregate; null for those that take no field. */
  readonly inputs: readonly (FieldPath | null)[]
  /** Of each aggregate: the field that it compares rows by, where it has one. */
  readonly bys: readonly (FieldPath | null)[]
  /** Of an aggregate: keys, window_start, window_end, window_number for count windows, aggregates, revision. Of `unique`: the row's own. */
  readonly resultFields: readonly Field[]
}

export interface ResultInput {
  /** Index into `results`. */
  readonly result: number
  /** To be applied in this order. */
  readonly filters: readonly HavingNode[]
}

/** A key is a field of the row, or computed from it: one of `path` and `of` is null. */
export interface KeyPlan {
  readonly field: Field
  readonly path: FieldPath | null
  readonly of: ((row: object) => unknown) | null
}

export interface TablePlan {
  readonly node: TableNode
  readonly shape: TableShape
}

export interface SilverPlan extends TablePlan {
  readonly input: number
  readonly frame: number
}

export interface GoldPlan extends TablePlan, ResultInput {}

/** Results for an outside topic. */
export interface TopicPlan extends ResultInput {
  readonly node: TopicNode
  readonly shape: TopicShape
}

/** `topics` are the source's, for the columns that name them. */
export function compilePlan(spec: PipelineSpec, topics: readonly string[]): Plan {
  const sourceFields = fieldsOf(parseAvroSchema(spec.source.schema.avro))
  const compiler = new PlanCompiler(sourceFields)
  for (const table of spec.tables) compiler.addTable(table, topics)
  for (const topic of spec.topics ?? []) compiler.addTopic(topic)
  const { steps, results, bronze, silver, gold } = compiler
  const { eventTime, watermark } = spec.source
  const punctuation = watermark?.kind === 'punctuated' ? watermark.field : null
  return {
    spec,
    sourceFields,
    eventTime: timestampAt(spec, sourceFields, eventTime, 'Event time'),
    punctuation: timestampAt(spec, sourceFields, punctuation, 'A watermark'),
    steps,
    results,
    bronze,
    silver,
    gold,
    topics: compiler.topics,
    deadLetters: deadLettersShape(topics),
    stages: results.reduce((stages, { stage }) => Math.max(stages, stage + 1), 0),
    slices: spec.mergeParallelism ?? 1,
  }
}

/** All tables that a run of the plan writes to. */
export function tableShapesOf(plan: Plan): readonly TableShape[] {
  return [...plan.bronze, ...plan.silver, ...plan.gold].map((table) => table.shape).concat(plan.deadLetters)
}

function timestampAt(
  spec: PipelineSpec,
  fields: readonly Field[],
  name: string | null,
  what: string,
): FieldPath | null {
  if (name === null) return null
  const path = resolveFieldPath(fields, name, `stream ${spec.source.name}`)
  if (path.field.type.kind === 'timestamp') return path
  throw new PipelineError('EVENT_TIME_TYPE', `stream ${spec.source.name}: ${path.path} is not a timestamp`, {
    advice: `${what} needs a field of logical type timestamp-millis or timestamp-micros.`,
  })
}

function deadLettersShape(topics: readonly string[]): TableShape {
  return {
    path: DEAD_LETTERS_PATH,
    fields: deadLetterFields(topics),
    partitionBy: [],
    options: {
      compression: 'snappy',
      rowGroupRows: 250_000,
      fileRowsMax: 250_000,
      dictionary: ['reason', 'stage', 'pipeline', 'task'],
    },
  }
}
