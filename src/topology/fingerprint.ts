import { unreachable } from '../errors.ts'
import { functionText } from './function-text.ts'
import type { AggregateNode, LateNode, PipelineSpec, RowNode, TableNode } from './node.ts'
import { tablePath, topicPath } from './problem.ts'
import { outputsOf, stepsOf } from './validate.ts'

/**
 * Tells whether a program is the one that wrote a lake. `steps` has an entry for each step by its name and for each
 * table and output topic by its path: '<own>-<whole>', where `own` changes with the step itself and `whole` also with all that is
 * upstream. `pipeline` is one value for all.
 *
 * What changes neither state nor rows is left out: documentation in schemas, compression and sizes of files, the
 * circuit breaker, white space and comments in callbacks.
 */
export interface Fingerprint {
  readonly pipeline: string
  readonly steps: Readonly<Record<string, string>>
}

export interface FingerprintChange {
  readonly step: string
  readonly kind: 'added' | 'removed' | 'changed'
}

export function fingerprintOf(spec: PipelineSpec): Fingerprint {
  const whole = new Map<RowNode | AggregateNode, string>()
  const steps: Record<string, string> = {}
  for (const node of stepsOf(outputsOf(spec))) {
    const above = node.kind === 'source' ? '' : whole.get(node.input)!
    const own = hash(canonical(definitionOf(node)))
    whole.set(node, hash(`${own} ${above}`))
    if (node.kind !== 'late') steps[node.name] = `${own}-${whole.get(node)!}`
  }
  for (const table of spec.tables) {
    const own = hash(canonical(tableDefinition(table)))
    steps[tablePath(table)] = `${own}-${hash(`${own} ${whole.get(table.input)!}`)}`
  }
  for (const topic of spec.topics ?? []) {
    const own = hash(canonical({ kind: topic.kind, input: topic.input.name }))
    steps[topicPath(topic)] = `${own}-${hash(`${own} ${whole.get(topic.input)!}`)}`
  }
  return { pipeline: hash(canonical({ name: spec.name, steps })), steps }
}

/**
 * The steps that differ, by name. A step downstream of a change is not named, unless it has changed itself: the list
 * says what to look at.
 */
export function diffFingerprints(before: Fingerprint, after: Fingerprint): readonly FingerprintChange[] {
  const names = [...new Set([...Object.keys(before.steps), ...Object.keys(after.steps)])].sort()
  return names.flatMap((step): readonly FingerprintChange[] => {
    const old = before.steps[step]
    const now = after.steps[step]
    if (old === undefined) return [{ step, kind: 'added' }]
    if (now === undefined) return [{ step, kind: 'removed' }]
    return ownOf(old) === ownOf(now) ? [] : [{ step, kind: 'changed' }]
  })
}

function ownOf(value: string): string {
  return value.split('-')[0]!
}

/** Everything of a step that decides what it does, its input by name: moving a step changes it. */
function definitionOf(node: RowNode | AggregateNode): object {
  switch (node.kind) {
    case 'source': {
      const { kind, eventTime, watermark } = node
      return { kind, eventTime, watermark, schema: schemaDefinition(node.schema.avro) }
    }
    case 'map':
      return {
        kind: node.kind,
        input: inputName(node.input),
        schema: schemaDefinition(node.schema.avro),
        transform: node.transform,
      }
    case 'late':
      return { kind: node.kind, input: node.input.name }
    case 'expect':
    case 'filter':
    case 'dedupe':
    case 'aggregate':
      return { ...node, name: null, input: inputName(node.input) }
    default:
      return unreachable(node)
  }
}

function tableDefinition({ layer, input, partitionBy }: TableNode): object {
  return { layer, input: input.kind === 'late' ? inputName(input) : input.name, partitionBy }
}

function inputName(node: RowNode): string {
  return node.kind === 'late' ? lateName(node) : node.name
}

function lateName({ input }: LateNode): string {
  return `late rows of ${input.name}`
}

/** Without documentation. A default is a value, in which 'doc' may be the name of a field. */
function schemaDefinition(avro: unknown): unknown {
  if (Array.isArray(avro)) return avro.map(schemaDefinition)
  if (typeof avro !== 'object' || avro === null) return avro
  return Object.fromEntries(
    Object.entries(avro)
      .filter(([key]) => key !== 'doc')
      .map(([key, value]) => [key, key === 'default' ? value : schemaDefinition(value)]),
  )
}

/** One text for equal values: keys sorted, every type of value that a node can hold told apart. */
function canonical(value: unknown): string {
  switch (typeof value) {
    case 'function':
      return `function ${JSON.stringify(functionText(value as (...args: never) => unknown))}`
    case 'bigint':
      return `${value}n`
    case 'number':
      return `${value}`
    case 'object':
      break
    case 'string':
    case 'boolean':
    case 'undefined':
    case 'symbol':
      return JSON.stringify(value) ?? 'undefined'
    default:
      return unreachable(value as never)
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  entries.sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${entries.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`
}

const FNV_OFFSET = 0xcbf29ce484222325n
const FNV_PRIME = 0x100000001b3n

/**
 * FNV-1a, 64 bits, over UTF-16 code units (http://www.isthe.com/chongo/tech/comp/fnv/), as 16 hex digits. It guards
 * against mistakes, not against an adversary.
 */
function hash(text: string): string {
  let state = FNV_OFFSET
  for (let i = 0; i < text.length; i++) {
    state = BigInt.asUintN(64, (state ^ BigInt(text.charCodeAt(i))) * FNV_PRIME)
  }
  return state.toString(16).padStart(16, '0')
}
