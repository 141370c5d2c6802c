import type { AggregateNode, PipelineSpec, ResultNode, TableNode, UniqueNode } from '../../topology/node.ts'
import type { Cells } from '../oracle/oracle.ts'
import type { ReadTable } from './table-reader.ts'

/** How the results of a node may be written: what depends on timing, and what does not. */
export interface ResultTraits {
  readonly node: AggregateNode | UniqueNode
  /** There may be more than one revision of a result. */
  readonly mayRevise: boolean
  /** What was written may have to go again: a session that is joined, a result that `having` no longer lets pass. */
  readonly mayRetract: boolean
  /** The last word depends on timing too: a window over results does not see what is revised after it was final. */
  readonly isOpen: boolean
}

export function isResult(input: TableNode['input']): input is ResultNode {
  return input.kind === 'aggregate' || input.kind === 'having' || input.kind === 'unique'
}

export function resultTraits(spec: PipelineSpec, input: ResultNode): ResultTraits {
  let node: ResultNode = input
  let hasHaving = false
  while (node.kind === 'having') {
    hasHaving = true
    node = node.input
  }
  const hasIdleness = spec.source.watermark?.idleAfterMs != null
  const isOverResults = isResult(node.input)
  if (node.kind === 'unique') return { node, mayRevise: false, mayRetract: false, isOpen: hasIdleness }
  return {
    node,
    mayRevise: hasIdleness || node.trigger !== undefined,
    mayRetract: hasHaving || node.window.kind === 'session',
    isOpen: hasIdleness && (isOverResults || node.window.kind === 'count'),
  }
}

/** What tells a result from the others of its window step: its key and its window. */
export function resultIdentity({ node }: ResultTraits, row: Cells): string {
  if (node.kind === 'unique') return textOf(row)
  const values = new Set([...node.aggregates.map(({ name }) => name), 'revision'])
  return textOf(Object.fromEntries(Object.entries(row).filter(([name]) => !values.has(name))))
}

/** A row without what depends on timing. */
export function resultText(row: Cells): string {
  const { revision: _, ...cells } = row
  return textOf(cells)
}

/**
 * A table with the newest revision of each result: at no version is one there twice, and none ever goes back to an older revision. In the
 * end it has exactly what the oracle says.
 */
export function verifyNewest(
  traits: ResultTraits,
  expected: readonly Cells[],
  table: ReadTable,
  files: ReadonlyMap<string, readonly Cells[]>,
): readonly string[] {
  const wrong: string[] = []
  const shown = new Map<string, number>()
  const newest = new Map<string, number>()
  for (const { version, added, removed } of table.versions) {
    const where = `${table.path} version ${version}`
    for (const row of removed.flatMap((file) => files.get(file)!)) {
      const identity = resultIdentity(traits, row)
      shown.set(identity, (shown.get(identity) ?? 0) - 1)
    }
    for (const file of added) {
      for (const row of files.get(file)!) {
        const identity = resultIdentity(traits, row)
        shown.set(identity, (shown.get(identity) ?? 0) + 1)
        if (shown.get(identity)! > 1) wrong.push(`${where} has a result twice: ${identity}`)
        // A new incarnation begins again.
        const key = `${incarnationOf(file)} ${identity}`
        const revision = Number(row['revision'])
        if (revision < (newest.get(key) ?? 0))
          wrong.push(`${where} goes back to revision ${revision} of ${identity}`)
        newest.set(key, revision)
      }
    }
  }
  if (traits.isOpen) return wrong
  const active = [...table.active].flatMap((file) => files.get(file)!)
  return [...wrong, ...verifyEqual(table.path, expected, active)]
}

/** As the file's name says: pipeline, incarnation, task, epoch, claim, nonce, index. */
function incarnationOf(file: string): string {
  return /-(\d+)-merge\d*-\d+-\d{12}-/.exec(file)?.[1] ?? ''
}

/** A table with every revision: the last of each result is what the oracle says. */
export function verifyAll(
  traits: ResultTraits,
  path: string,
  expected: readonly Cells[],
  active: readonly Cells[],
): readonly string[] {
  const wrong: string[] = []
  const byResult = new Map<string, Cells[]>()
  for (const row of active) {
    const identity = resultIdentity(traits, row)
    byResult.set(identity, [...(byResult.get(identity) ?? []), row])
  }
  for (const revisions of byResult.values()) {
    revisions.sort((a, b) => Number(a['revision']) - Number(b['revision']))
    for (const [place, row] of revisions.entries()) {
      const revision = Number(row['revision'])
      const isTwice = place > 0 && revision === Number(revisions[place - 1]!['revision'])
      if (isTwice || (!traits.mayRetract && revision !== place))
        wrong.push(`${path}: revision ${revision} of ${resultIdentity(traits, row)} at place ${place}`)
    }
  }
  if (traits.isOpen) return wrong
  for (const row of expected) {
    const identity = resultIdentity(traits, row)
    const last = byResult.get(identity)?.at(-1)
    byResult.delete(identity)
    if (last === undefined) wrong.push(`${path} lacks ${resultText(row)}`)
    else if (resultText(last) !== resultText(row))
      wrong.push(`${path}: last revision ${resultText(last)}, expected ${resultText(row)}`)
  }
  // What is no more stays in such a table.
  if (!traits.mayRetract)
    for (const identity of byResult.keys()) wrong.push(`${path} has a result that should not be: ${identity}`)
  return wrong
}

/** The same rows, each as often. */
export function verifyEqual(
  path: string,
  expected: readonly Cells[],
  found: readonly Cells[],
): readonly string[] {
  const missing = new Map<string, number>()
  const count = (row: Cells, by: number): void => {
    const text = resultText(row)
    missing.set(text, (missing.get(text) ?? 0) + by)
  }
  for (const row of expected) count(row, 1)
  for (const row of found) count(row, -1)
  return [...missing].flatMap(([text, times]) => {
    if (times === 0) return []
    return [times > 0 ? `${path} lacks ${times} of ${text}` : `${path} has ${-times} too many of ${text}`]
  })
}

function textOf(row: Cells): string {
  const names = Object.keys(row).filter((name) => name !== '_processed_at')
  return JSON.stringify(names.sort().map((name) => [name, row[name]]))
}
