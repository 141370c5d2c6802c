import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { Field } from '../columns/column-type.ts'
import { assert, PipelineError } from '../errors.ts'
import type { PartitionColumn, TableShape } from '../ports.ts'
import type {
  AggregateNode,
  HavingNode,
  ResultNode,
  RowNode,
  TableNode,
  TopicNode,
  UniqueNode,
} from '../topology/node.ts'
import { resolveFieldPath } from './field-path.ts'
import type { GoldPlan, ResultInput, ResultPlan, SilverPlan, StepPlan, TablePlan, TopicPlan } from './plan.ts'
import { recordFields } from './record-columns.ts'
import { compileResult, topicKeyFields } from './result-plan.ts'

const PROCESSED_AT: Field = {
  name: '_processed_at',
  type: { kind: 'timestamp', unit: 'millis', local: false },
  nullable: false,
}

/** Walks from the tables and topics to the source, and lists what it meets, inputs first. */
export class PlanCompiler {
  readonly steps: StepPlan[] = []
  readonly results: ResultPlan[] = []
  readonly bronze: TablePlan[] = []
  readonly silver: SilverPlan[] = []
  readonly gold: GoldPlan[] = []
  readonly topics: TopicPlan[] = []
  readonly #sourceFields: readonly Field[]
  /** By name: a step that several tables share runs once. */
  readonly #stepIndex = new Map<string, number>()
  readonly #resultIndex = new Map<string, number>()

  constructor(sourceFields: readonly Field[]) {
    this.#sourceFields = sourceFields
  }

  addTable(node: TableNode, topics: readonly string[]): void {
    const { input: from } = node
    if (isResult(from)) {
      const input = this.#resultInput(from)
      const fields = this.results[input.result]!.resultFields
      this.gold.push({ node, ...input, shape: this.#shape(node, fields) })
    } else if (node.layer === 'bronze') {
      this.bronze.push({ node, shape: this.#shape(node, [...this.#sourceFields, ...recordFields(topics)]) })
    } else {
      const input = this.#step(from)
      const fields = [...this.#fieldsOf(input), PROCESSED_AT]
      this.silver.push({ node, input, frame: this.#frameOf(input), shape: this.#shape(node, fields) })
    }
  }

  addTopic(node: TopicNode): void {
    const input = this.#resultInput(node.input)
    const result = this.results[input.result]!
    const shape = {
      topic: node.name,
      keyFields: topicKeyFields(result, node.name),
      fields: result.resultFields,
    }
    this.topics.push({ node, ...input, shape })
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
    const input = node.kind === 'late' ? this.#inputOfLate(node.input) : this.#step(node.input)
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

  #inputOfLate(node: AggregateNode | UniqueNode): number {
    const { stage, input } = this.results[this.#result(node)]!
    assert(stage === 0, `${node.name} is a window over results, which has no late rows of its own`)
    return input
  }

  /** Down through the `having` steps to the result that they filter. */
  #resultInput(node: ResultNode): ResultInput {
    const filters: HavingNode[] = []
    let below = node
    while (below.kind === 'having') {
      filters.unshift(below)
      below = below.input
    }
    return { result: this.#result(below), filters }
  }

  #result(node: AggregateNode | UniqueNode): number {
    const known = this.#resultIndex.get(node.name)
    if (known !== undefined) return known
    const place = this.#placeOf(node.input)
    const index = this.results.length
    this.results.push(compileResult(node, place))
    this.#resultIndex.set(node.name, index)
    return index
  }

  #placeOf(node: RowNode | ResultNode): Pick<ResultPlan, 'stage' | 'input' | 'frame' | 'from' | 'rowFields'> {
    if (isResult(node)) {
      const from = this.#resultInput(node)
      const below = this.results[from.result]!
      return { stage: below.stage + 1, input: -1, frame: -1, from, rowFields: below.resultFields }
    }
    const input = this.#step(node)
    return { stage: 0, input, frame: this.#frameOf(input), from: null, rowFields: this.#fieldsOf(input) }
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
        dictionary: node.options.dictionary ?? this.#defaultDictionary(node),
      },
    }
  }

  /** Keys repeat in a gold table, so a dictionary pays there; elsewhere only the program can know. */
  #defaultDictionary({ input }: TableNode): readonly string[] {
    if (!isResult(input)) return []
    const { node, keyFields } = this.results[this.#resultInput(input).result]!
    return node.kind === 'aggregate' ? keyFields.map(({ name }) => name) : []
  }
}

function isResult(node: RowNode | ResultNode): node is ResultNode {
  return node.kind === 'aggregate' || node.kind === 'having' || node.kind === 'unique'
}
