import { PipelineError } from '../errors.ts'
import type { AggregateNode, PipelineSpec, RowNode, SourceNode, TableNode } from './node.ts'

/** One thing that is wrong with a program. */
export interface Problem {
  readonly code: string
  /** The step or table: "expect 'sane'", 'silver/trips'. */
  readonly step: string
  readonly message: string
  readonly advice: string
}

export function requireValid(_node: RowNode | AggregateNode): void {}
export function requireValidTable(_table: TableNode): void {}

export function sourcesOf(tables: readonly TableNode[]): readonly SourceNode[] {
  const sources = new Set<SourceNode>()
  for (const table of tables) {
    let node: RowNode | AggregateNode = table.input
    while (node.kind !== 'source') node = node.input
    sources.add(node)
  }
  return [...sources]
}

/** Everything that is wrong with a pipeline, in the order of its steps. */
export function validatePipeline(_spec: PipelineSpec): readonly Problem[] {
  return []
}

export function throwProblems(problems: readonly Problem[]): void {
  const first = problems[0]
  if (first === undefined) return
  throw new PipelineError(first.code, first.message, { advice: first.advice })
}
