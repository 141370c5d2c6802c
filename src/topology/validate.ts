import { checkCount, checkName, sourceOf } from './check-option.ts'
import { checkStep } from './check-step.ts'
import { checkTable } from './check-table.ts'
import { checkTopic } from './check-topic.ts'
import type {
  CircuitBreakerSpec,
  LateNode,
  PipelineSpec,
  ResultNode,
  RowNode,
  SourceNode,
  TableNode,
  TopicNode,
} from './node.ts'
import { type Problem, problem, stepLabel, tablePath, topicPath } from './problem.ts'

export type Step = RowNode | ResultNode
/** What rows and results go to. */
type Output = TableNode | TopicNode

/** Everything that is wrong with a pipeline: its steps from the source on, then its tables and topics, then itself. */
export function validatePipeline(spec: PipelineSpec): readonly Problem[] {
  const topics = spec.topics ?? []
  const outputs = outputsOf(spec)
  const steps = stepsOf(outputs)
  const stepProblems = steps.flatMap(checkStep)
  return [
    ...stepProblems,
    // A table's columns are known only where its steps are right.
    ...(stepProblems.length === 0 ? spec.tables.flatMap(checkTable) : []),
    ...topics.flatMap(checkTopic),
    ...checkTopicCount(topics),
    ...checkName(spec.name, 'pipeline'),
    ...checkNames(steps, spec.tables, topics),
    ...checkSources(outputs),
    ...checkLateRows(steps, outputs),
    ...checkCircuitBreaker(spec.circuitBreaker),
    ...checkMerge(spec),
  ]
}

/** Tables, then topics. */
export function outputsOf(spec: PipelineSpec): readonly Output[] {
  return [...spec.tables, ...(spec.topics ?? [])]
}

/** All steps of the outputs, each once, inputs first. */
export function stepsOf(outputs: readonly Output[]): readonly Step[] {
  const steps = new Set<Step>()
  const add = (node: Step): void => {
    if (steps.has(node)) return
    if (node.kind !== 'source') add(node.input)
    steps.add(node)
  }
  for (const { input } of outputs) add(input)
  return [...steps]
}

/** The streams that the outputs read in the end: one, in a pipeline that is right. */
export function sourcesOf(outputs: readonly Output[]): readonly SourceNode[] {
  return [...new Set(outputs.map(({ input }) => sourceOf(input)))]
}

/** Which topics have a result is a bit each, in one word. */
const TOPICS_MAX = 31

function checkTopicCount(topics: readonly TopicNode[]): readonly Problem[] {
  if (topics.length <= TOPICS_MAX) return []
  const advice = `A pipeline writes to at most ${TOPICS_MAX} topics. Make two pipelines of it.`
  return [problem('INVALID_OPTION', 'pipeline', `it writes to ${topics.length} topics`, advice)]
}

function checkNames(
  steps: readonly Step[],
  tables: readonly TableNode[],
  topics: readonly TopicNode[],
): readonly Problem[] {
  const named = steps.filter((node): node is Exclude<Step, LateNode> => node.kind !== 'late')
  return [
    ...repeated(named, ({ name }) => name).map((node) =>
      problem(
        'DUPLICATE_NAME',
        stepLabel(node),
        'another step has this name',
        'Give each step a name of its own: its state is found by it.',
      ),
    ),
    ...repeated(tables, tablePath).map((table) =>
      problem(
        'DUPLICATE_NAME',
        `table ${tablePath(table)}`,
        'another table has this name',
        'Give each table of a layer a name of its own.',
      ),
    ),
    ...repeated(topics, ({ name }) => name).map((topic) =>
      problem(
        'DUPLICATE_NAME',
        topicPath(topic),
        'another output has this topic',
        'A topic holds the results of one aggregate.',
      ),
    ),
  ]
}

/** Those whose key an earlier one has. */
function repeated<T>(values: readonly T[], keyOf: (value: T) => string): readonly T[] {
  const seen = new Set<string>()
  return values.filter((value) => {
    const key = keyOf(value)
    if (seen.has(key)) return true
    seen.add(key)
    return false
  })
}

function checkSources(outputs: readonly Output[]): readonly Problem[] {
  const sources = sourcesOf(outputs)
  if (sources.length <= 1) return []
  const names = sources.map(({ name }) => `'${name}'`).join(' and ')
  return [
    problem(
      'SEVERAL_SOURCES',
      'pipeline',
      `the tables read from ${sources.length} streams: ${names}`,
      'A pipeline reads one stream. Call stream() once and keep what it returns, or make a pipeline for each.',
    ),
  ]
}

/** Late rows that are kept must go somewhere, and those that are not kept cannot. */
function checkLateRows(steps: readonly Step[], outputs: readonly Output[]): readonly Problem[] {
  const lateTables = outputs.filter(({ input }) => input.kind === 'late')
  return steps.flatMap((node) => {
    if (node.kind === 'late') return checkLate(node, steps, outputs)
    if ((node.kind !== 'aggregate' && node.kind !== 'unique') || node.late !== 'side-table') return []
    if (lateTables.some(({ input }) => input.kind === 'late' && input.input === node)) return []
    return [
      problem(
        'LATE_ROWS',
        stepLabel(node),
        "late: 'side-table' and no table takes them",
        `Add silver('${node.name}_late', ….late) to the tables, or choose 'dead-letter' or 'drop'.`,
      ),
    ]
  })
}

function checkLate(late: LateNode, steps: readonly Step[], outputs: readonly Output[]): readonly Problem[] {
  const { input } = late
  const problems: Problem[] = []
  if (input.late !== 'side-table') {
    problems.push(
      problem(
        'LATE_ROWS',
        stepLabel(late),
        `they are not kept: late is '${input.late}'`,
        `Say so at ${input.kind === 'unique' ? 'unique' : 'the window'}: { allowedLateness, late: 'side-table' }.`,
      ),
    )
  }
  const readers = [...steps.filter((step) => step.kind !== 'late' && step.kind !== 'source'), ...outputs]
  if (!readers.some((reader) => reader.input === input)) {
    const table = input.kind === 'unique' ? 'silver' : 'gold'
    problems.push(
      problem(
        'LATE_ROWS',
        stepLabel(late),
        `the ${input.kind} itself is in no table`,
        `Add ${table}('${input.name}', …) to the tables.`,
      ),
    )
  }
  return problems
}

/** More would be more files and chains than a lake wants to have. */
const MERGE_PARALLELISM_MAX = 256

function checkMerge({ mergeParallelism, limits }: PipelineSpec): readonly Problem[] {
  const problems: Problem[] = []
  if (mergeParallelism !== undefined) {
    const range = { least: 1, most: MERGE_PARALLELISM_MAX, example: 'mergeParallelism: 4' }
    problems.push(...checkCount(mergeParallelism, 'pipeline', 'mergeParallelism', range))
  }
  for (const name of ['panesMax', 'keysMax'] as const) {
    const value = limits?.[name]
    if (value === undefined) continue
    const range = { least: 1, most: Number.MAX_SAFE_INTEGER, example: `limits: { ${name}: 1_000_000 }` }
    problems.push(...checkCount(value, 'pipeline', `limits.${name}`, range))
  }
  return problems
}

function checkCircuitBreaker(breaker: CircuitBreakerSpec | null): readonly Problem[] {
  if (breaker === null) return []
  const problems: Problem[] = []
  if (!(breaker.maxShare >= 0 && breaker.maxShare < 1)) {
    problems.push(
      problem(
        'INVALID_OPTION',
        'circuitBreaker',
        `maxShare is ${String(breaker.maxShare)}`,
        'It is a share below 1, as in 0.5. False turns the breaker off.',
      ),
    )
  }
  if (!Number.isSafeInteger(breaker.sample) || breaker.sample < 1) {
    problems.push(
      problem(
        'INVALID_OPTION',
        'circuitBreaker',
        `sample is ${String(breaker.sample)}`,
        'It is a whole number of records, at least 1.',
      ),
    )
  }
  return problems
}
