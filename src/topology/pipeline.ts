import { PipelineError } from '../errors.ts'
import type { CircuitBreakerSpec, PipelineSpec, StateLimitsSpec, TableNode, TopicNode } from './node.ts'
import { shown, throwProblems } from './problem.ts'
import { sourcesOf, validatePipeline } from './validate.ts'

export interface PipelineOptions {
  readonly name: string
  readonly tables: readonly TableNode[]
  /** Results of aggregates as records of Kafka topics, as in [topic('zone-minutes', zoneMinutes)]. */
  readonly topics?: readonly TopicNode[]
  /**
   * Stops the pipeline when more than `maxShare` of `sample` records in a row become dead letters, instead of draining
   * the stream into them. Default: { maxShare: 0.5, sample: 1000 }. False turns it off.
   */
  readonly circuitBreaker?: Partial<CircuitBreakerSpec> | false
  /**
   * Merge tasks among which the keys of windows are divided, each by a process of its own where there are several. Default: 1. An incarnation keeps
   * the number that it began with.
   */
  readonly mergeParallelism?: number
  /** What state may grow to before the pipeline stops with STATE_LIMIT. */
  readonly limits?: StateLimitsSpec
}

const CIRCUIT_BREAKER_DEFAULT: CircuitBreakerSpec = { maxShare: 0.5, sample: 1_000 }

/**
 * A whole program as plain data: it opens nothing and runs nothing. Throws PipelineError, which names the step that is
 * wrong and what to do about it.
 */
export function pipeline(options: PipelineOptions): PipelineSpec {
  const { name, tables, topics = [], circuitBreaker = {}, mergeParallelism, limits } = options
  requireTables(name, tables)
  requireTopics(name, topics)
  const source = sourcesOf([...tables, ...topics])[0]!
  const spec: PipelineSpec = {
    name,
    source,
    tables: [...tables],
    ...(topics.length === 0 ? {} : { topics: [...topics] }),
    circuitBreaker: circuitBreaker === false ? null : { ...CIRCUIT_BREAKER_DEFAULT, ...circuitBreaker },
    ...(mergeParallelism === undefined ? {} : { mergeParallelism }),
    ...(limits === undefined ? {} : { limits: { ...limits } }),
  }
  throwProblems(validatePipeline(spec))
  return spec
}

/** Nothing can be said of a pipeline without them. */
function requireTables(name: string, tables: readonly unknown[]): void {
  if (!Array.isArray(tables) || tables.length === 0) {
    throw new PipelineError('NO_TABLES', `pipeline ${shown(name)} has no tables`, {
      advice: "List at least one, as in tables: [bronze('trips', trips)].",
    })
  }
  const stranger = tables.findIndex((table: Partial<TableNode> | null) => !table?.layer || !table.input)
  if (stranger >= 0) {
    throw new PipelineError('WRONG_LAYER', `pipeline ${shown(name)}: tables[${stranger}] is no table`, {
      advice: 'Put bronze(), silver() or gold() around it.',
    })
  }
}

function requireTopics(name: string, topics: readonly unknown[]): void {
  const stranger = Array.isArray(topics)
    ? topics.findIndex((topic: Partial<TopicNode> | null) => topic?.kind !== 'topic' || !topic.input)
    : 0
  if (Array.isArray(topics) && stranger < 0) return
  throw new PipelineError('WRONG_LAYER', `pipeline ${shown(name)}: topics[${stranger}] is no topic`, {
    advice: "Put topic() around the aggregate, as in topics: [topic('zone-minutes', zoneMinutes)].",
  })
}

/** True for what `pipeline()` gave, also where it came from another copy of this package. */
export function isPipeline(value: unknown): value is PipelineSpec {
  if (typeof value !== 'object' || value === null) return false
  const spec = value as Partial<PipelineSpec>
  return typeof spec.name === 'string' && Array.isArray(spec.tables) && spec.source?.kind === 'source'
}
