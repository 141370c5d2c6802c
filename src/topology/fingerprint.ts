import { unreachable } from '../errors.ts'
import { functionText } from './function-text.ts'
import type { LateNode, PipelineSpec, ResultNode, RowNode, SourceNode, TableNode } from './node.ts'
import { tablePath, topicPath } from './problem.ts'
import { schemaDefinition } from './schema-definition.ts'
import { stepText } from './step-text.ts'
import { outputsOf, type Step, stepsOf } from './validate.ts'

/**
 * Tells whether a program is the one that wrote a lake. `steps` has an entry for each step by its name and for each
 * table and output topic by its path: '<own>-<whole>', where `own` changes with the step itself and `whole` also with all that is
 * upstream. `pipeline` is one value for all.
 *
 * What changes neither state nor rows is left out: documentation in schemas, compression and sizes of files, the
 * circuit breaker, limits, alignment, the number of merge tasks (which an incarnation keeps), white space and comments in callbacks.
 */
export interface Fingerprint {
  readonly pipeline: string
  readonly steps: Readonly<Record<string, string>>
  /** What each step is and does, in lines for people, for `describe --diff`. Absent in lakes of 0.1.0. */
  readonly texts?: Readonly<Record<string, readonly string[]>>
}

export interface FingerprintChange {
  readonly step: string
  readonly kind: 'added' | 'removed' | 'changed'
  /** Lines that the step had and has no more. Absent where the fingerprint before has no texts. */
  readonly was?: readonly string[]
  /** Lines that the step has and had not. Absent where one of the fingerprints has no texts. */
  readonly is?: readonly string[]
}

export function fingerprintOf(spec: PipelineSpec): Fingerprint {
  const whole = new Map<Step, string>()
  const steps: Record<string, string> = {}
  const texts: Record<string, readonly string[]> = {}
  for (const node of stepsOf(outputsOf(spec))) {
    const above = node.kind === 'source' ? '' : whole.get(node.input)!
    const own = hash(canonical(definitionOf(node)))
    whole.set(node, hash(`${own} ${above}`))
    if (node.kind === 'late') continue
    steps[node.name] = `${own}-${whole.get(node)!}`
    texts[node.name] = stepText(node)
  }
  for (const table of spec.tables) {
    const own = hash(canonical(tableDefinition(table)))
    steps[tablePath(table)] = `${own}-${hash(`${own} ${whole.get(table.input)!}`)}`
    texts[tablePath(table)] = stepText(table)
  }
  for (const topic of spec.topics ?? []) {
    const own = hash(canonical({ kind: topic.kind, input: topic.input.name }))
    steps[topicPath(topic)] = `${own}-${hash(`${own} ${whole.get(topic.input)!}`)}`
    texts[topicPath(topic)] = stepText(topic)
  }
  return { pipeline: hash(canonical({ name: spec.name, steps })), steps, texts }
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
    if (old !== undefined && now !== undefined && ownOf(old) === ownOf(now)) return []
    const kind = old === undefined ? 'added' : now === undefined ? 'removed' : 'changed'
    return [{ step, kind, ...textChange(before, after, step) }]
  })
}

/** The lines that one side has and the other has not. */
function textChange(
  { texts: before }: Fingerprint,
  { texts: after }: Fingerprint,
  step: string,
): Pick<FingerprintChange, 'was' | 'is'> {
  if (before === undefined || after === undefined) return {}
  const old = before[step] ?? []
  const now = after[step] ?? []
  return {
    was: old.filter((line) => !now.includes(line)),
    is: now.filter((line) => !old.includes(line)),
  }
}

function ownOf(value: string): string {
  return value.split('-')[0]!
}

/** Everything of a step that decides what it does, its input by name: moving a step changes it. */
function definitionOf(node: RowNode | ResultNode): object {
  switch (node.kind) {
    case 'source': {
      const { kind, eventTime } = node
      return {
        kind,
        eventTime,
        watermark: watermarkDefinition(node),
        schema: schemaDefinition(node.schema.avro),
      }
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
    case 'unique':
    case 'aggregate':
    case 'having':
      return { ...node, name: null, input: inputName(node.input) }
    default:
      return unreachable(node)
  }
}

/** Alignment decides when records are read, and not what becomes of them. */
function watermarkDefinition({ watermark }: SourceNode): object | null {
  return watermark === null ? null : { ...watermark, alignWithinMs: undefined }
}

function tableDefinition({ layer, input, revisions, partitionBy }: TableNode): object {
  return { layer, input: inputName(input), revisions, partitionBy }
}

function inputName(node: RowNode | ResultNode): string {
  return node.kind === 'late' ? lateName(node) : node.name
}

function lateName({ input }: LateNode): string {
  return `late rows of ${input.name}`
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
