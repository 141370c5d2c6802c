import { PipelineError } from '../errors.ts'
import type { ResultNode, RowNode, TableNode, TopicNode } from './node.ts'

/** One thing that is wrong with a program. */
export interface Problem {
  readonly code: ProblemCode
  /** The step or table: "expect 'sane'", 'silver/trips'. */
  readonly step: string
  /** A sentence that begins with the step. */
  readonly message: string
  readonly advice: string
}

export type ProblemCode =
  | 'INVALID_NAME'
  | 'DUPLICATE_NAME'
  | 'SCHEMA_INVALID'
  | 'SCHEMA_UNSUPPORTED'
  | 'FIELD_UNKNOWN'
  | 'FIELD_TYPE'
  | 'NO_EVENT_TIME'
  | 'INVALID_DURATION'
  | 'INVALID_OPTION'
  | 'INVALID_RULE'
  | 'WRONG_LAYER'
  | 'LATE_ROWS'
  | 'SEVERAL_SOURCES'
  | 'NO_TABLES'

export function problem(code: ProblemCode, step: string, what: string, advice: string): Problem {
  return { code, step, message: `${step}: ${what}`, advice }
}

/** A step in messages: "expect 'sane'". */
export function stepLabel(node: RowNode | ResultNode): string {
  if (node.kind === 'late') return `late rows of '${node.input.name}'`
  return `${node.kind === 'source' ? 'stream' : node.kind} '${node.name}'`
}

/** A table in messages, and its folder in the lake: 'silver/trips'. */
export function tablePath(table: TableNode): string {
  return `${table.layer}/${table.name}`
}

/** An output topic in messages, and beside the tables: 'topic/zone-minutes'. */
export function topicPath(topic: TopicNode): string {
  return `topic/${topic.name}`
}

/** Does nothing where there are none. The code is that of the first; the message lists all. */
export function throwProblems(problems: readonly Problem[]): void {
  const [first, ...others] = problems
  if (first === undefined) return
  const message =
    others.length === 0
      ? first.message
      : `${problems.length} problems\n${problems.map(({ message }) => `  ${message}`).join('\n')}`
  throw new PipelineError(first.code, message, { advice: first.advice })
}

/** A value in messages: whatever a program in plain JavaScript may have given. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint' || typeof value === 'number' || value === undefined) return `${value}`
  if (typeof value === 'function') return 'a function'
  return JSON.stringify(value) ?? typeof value
}
