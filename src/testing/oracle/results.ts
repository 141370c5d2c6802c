import { assert } from '../../errors.ts'
import type { AggregateNode, HavingNode, ResultNode, RowNode, UniqueNode } from '../../topology/node.ts'
import { aggregateOf, aggregateType } from './aggregate.ts'
import { compareItems, type Item, type Key, keyNames, keyOf, keyType, type Row } from './item.ts'
import { joined, memberOf, type Session, withoutRows } from './sessions.ts'
import { isLate, type Pane, panesOf } from './windows.ts'

/** The rows of one key of a window or of a dedupe over all partitions. */
interface Group {
  readonly key: Key
  readonly items: Item[]
  /** By task. */
  readonly sessions: Map<string, readonly Session[]>
}

/** What merge tasks make, from all rows at once. */
export class Results {
  /** Of each dedupe over all partitions, by name. */
  readonly dropped: Record<string, number> = {}
  readonly #groups = new Map<AggregateNode | UniqueNode, Map<string, Group>>()
  readonly #results = new Map<AggregateNode | UniqueNode, readonly Item[]>()

  /** Whether a row of a partition is late. */
  isLate(node: AggregateNode | UniqueNode, key: Key, item: Item): boolean {
    if (node.kind === 'unique') return item.floorMs > item.timeMs + node.allowedLatenessMs
    if (node.window.kind !== 'session') return isLate(node, item)
    const sessions = this.#group(node, key).sessions.get(item.task) ?? []
    const { made } = joined(sessions, memberOf(node.window, item), node.allowedLatenessMs)
    return made.endMs + node.allowedLatenessMs <= item.floorMs
  }

  add(node: AggregateNode | UniqueNode, key: Key, item: Item): void {
    const group = this.#group(node, key)
    group.items.push(item)
    if (node.kind === 'unique' || node.window.kind !== 'session') return
    const sessions = group.sessions.get(item.task) ?? []
    const { made, others } = joined(sessions, memberOf(node.window, item), node.allowedLatenessMs)
    group.sessions.set(item.task, [...others, made])
  }

  /** A partition goes on with the live sessions of others, which have ended: with how far they reach, not with their rows. */
  follow(task: string, others: readonly string[], watermarkMs: number): void {
    for (const [node, groups] of this.#groups) {
      if (node.kind !== 'aggregate' || node.window.kind !== 'session') continue
      for (const { sessions } of groups.values()) {
        const live = others
          .flatMap((other) => sessions.get(other) ?? [])
          .filter(({ endMs }) => endMs + node.allowedLatenessMs > watermarkMs)
        if (live.length > 0) sessions.set(task, withoutRows(live))
      }
    }
  }

  /** The last revision of every result, each as a row. */
  of(node: ResultNode): readonly Item[] {
    if (node.kind === 'having') return this.of(node.input).filter(({ row }) => node.predicate(row as never))
    const known = this.#results.get(node)
    if (known !== undefined) return known
    if (isResult(node.input)) this.#addResults(node as AggregateNode, node.input)
    const groups = [...(this.#groups.get(node)?.values() ?? [])]
    const results = node.kind === 'unique' ? this.#unique(node, groups) : aggregated(node, groups)
    this.#results.set(node, results)
    return results
  }

  /** The results below as rows: the watermark that each finds is its own event time. */
  #addResults(node: AggregateNode, input: ResultNode): void {
    for (const item of [...this.of(input)].sort((a, b) => a.timeMs - b.timeMs)) {
      const key = keyOf(schemaOf(input), node.keyBy, item.row)
      assert(key !== null, `the oracle cannot refuse a result of ${input.name}`)
      this.add(node, key, { ...item, floorMs: item.timeMs, task: '', offset: 0 })
    }
  }

  #unique(node: UniqueNode, groups: readonly Group[]): readonly Item[] {
    const kept: Item[] = []
    for (const { items } of groups) {
      let keptMs = -Infinity
      for (const item of [...items].sort(compareItems)) {
        if (item.timeMs >= keptMs + node.withinMs) {
          keptMs = item.timeMs
          kept.push(item)
        } else this.dropped[node.name] = (this.dropped[node.name] ?? 0) + 1
      }
    }
    return kept
  }

  #group(node: AggregateNode | UniqueNode, key: Key): Group {
    const groups = this.#groups.get(node) ?? new Map<string, Group>()
    this.#groups.set(node, groups)
    const group = groups.get(key.text) ?? { key, items: [], sessions: new Map() }
    groups.set(key.text, group)
    return group
  }
}

function aggregated(node: AggregateNode, groups: readonly Group[]): readonly Item[] {
  return groups.flatMap(({ key, items, sessions }) =>
    panesOf(node, items, withRows(sessions)).map((pane) => ({
      row: resultRow(node, key, pane),
      // That of a global window is never used: no window may follow it.
      timeMs: (pane.bounds?.endMs ?? Infinity) - 1,
      floorMs: -Infinity,
      task: '',
      offset: 0,
    })),
  )
}

function withRows(sessions: Group['sessions']): readonly Session[] {
  return [...sessions.values()].flat().filter(({ members }) => members.length > 0)
}

function resultRow(node: AggregateNode, key: Key, { bounds, number, items }: Pane): Row {
  const schema = schemaOf(node.input)
  return {
    ...Object.fromEntries(keyNames(node).map((name, i) => [name, key.values[i]])),
    window_start: bounds?.startMs ?? null,
    window_end: bounds?.endMs ?? null,
    ...(number === null ? {} : { window_number: BigInt(number) }),
    ...Object.fromEntries(node.aggregates.map(({ name, spec }) => [name, aggregateOf(spec, schema, items)])),
    revision: 0,
  }
}

export function isResult(node: RowNode | ResultNode): node is ResultNode {
  return node.kind === 'aggregate' || node.kind === 'having' || node.kind === 'unique'
}

/** The window, or the dedupe over all partitions, that rows of partitions go to first on the way to a result. */
export function firstOf(node: ResultNode): AggregateNode | UniqueNode {
  if (isResult(node.input)) return firstOf(node.input)
  return node as Exclude<ResultNode, HavingNode>
}

/** The Avro schema of the rows that a node lets pass, or of its results. */
export function schemaOf(node: RowNode | ResultNode): unknown {
  if (node.kind === 'source' || node.kind === 'map') return node.schema.avro
  if (node.kind === 'late') return schemaOf(node.input.input)
  return node.kind === 'aggregate' ? resultSchema(node) : schemaOf(node.input)
}

function resultSchema(node: AggregateNode): unknown {
  const schema = schemaOf(node.input)
  const names = keyNames(node)
  const instant = ['null', { type: 'long', logicalType: 'timestamp-millis' }]
  return {
    type: 'record',
    name: 'Result',
    fields: [
      ...node.keyBy.map((spec, i) => ({ name: names[i]!, type: ['null', keyType(schema, spec)] })),
      { name: 'window_start', type: instant },
      { name: 'window_end', type: instant },
      ...(node.window.kind === 'count' ? [{ name: 'window_number', type: 'long' }] : []),
      ...node.aggregates.map(({ name, spec }) => ({ name, type: aggregateType(spec, schema) })),
      { name: 'revision', type: 'int' },
    ],
  }
}
