import { defaultBranch } from './default-value.ts'
import { logicalTypesAgree } from './logical-type.ts'
import type { AvroType, EnumType, FixedType, RecordField, RecordType, UnionType } from './schema-model.ts'
import { simpleName, typeName } from './schema-model.ts'

/**
 * How bytes of a writer's type become a value of a reader's column: Avro's schema resolution ("Schema Resolution" in
 * the 1.12 specification), worked out once for a pair of schemas. The code generator turns it into code.
 *
 * What the specification leaves to the moment of reading (a union branch or an enum symbol that the reader does not
 * have) is a `mismatch` inside the plan, and fails the record that comes to it.
 */
export type Plan =
  | { readonly op: 'mismatch'; readonly path: string; readonly why: string }
  /** Nothing on the wire; null in the column. */
  | { readonly op: 'null' }
  | {
      readonly op: 'number'
      readonly wire: WireNumber
      readonly as: 'int' | 'long' | 'float' | 'double'
      readonly millis: boolean
    }
  | { readonly op: 'boolean' }
  /** `text`: the bytes must be UTF-8. */
  | { readonly op: 'binary'; readonly wire: 'string' | 'bytes'; readonly text: boolean }
  | { readonly op: 'fixed'; readonly size: number }
  /** 16 bytes that become 36 characters. */
  | { readonly op: 'uuid' }
  /** `size` is null for bytes, which carry their length. */
  | { readonly op: 'decimal'; readonly size: number | null; readonly precision: number }
  /** The reader's index for each of the writer's; -1 where it has none. */
  | { readonly op: 'enum'; readonly indices: readonly number[]; readonly symbols: readonly string[] }
  /** `width`: the fewest bytes that an item takes on the wire. */
  | { readonly op: 'array'; readonly items: Plan; readonly width: number }
  | { readonly op: 'map'; readonly values: Plan; readonly width: number }
  | { readonly op: 'record'; readonly steps: readonly Step[] }
  /** A union on the wire: a branch index, then the branch. */
  | { readonly op: 'union'; readonly branches: readonly Plan[] }
  /** A value in a nullable column. */
  | { readonly op: 'present'; readonly value: Plan }
  /** A value in one child of the struct that stands for a union; its other children are null. */
  | { readonly op: 'branch'; readonly child: number; readonly nullable: boolean; readonly value: Plan }

export type WireNumber = 'int' | 'long' | 'float' | 'double'

export type Step =
  /** A field of the writer that no field of the reader wants. */
  | { readonly op: 'skip'; readonly name: string; readonly type: AvroType }
  /** A field of the writer, read into one or (through aliases) several children. */
  | { readonly op: 'read'; readonly targets: readonly { readonly child: number; readonly plan: Plan }[] }
  /** A field that the writer does not have. */
  | { readonly op: 'default'; readonly child: number; readonly type: AvroType; readonly value: unknown }

export type Mismatch = Extract<Plan, { op: 'mismatch' }>

/** The plan for the pair; a mismatch where no message of the writer could be read. */
export function resolve(writer: AvroType, reader: AvroType, path: string): Plan {
  if (writer.kind === 'union') return resolveWriterUnion(writer, reader, path)
  if (reader.kind === 'union') return resolveReaderUnion(writer, reader, path)
  return resolvePlain(writer, reader, path)
}

function resolveWriterUnion(writer: UnionType, reader: AvroType, path: string): Plan {
  const branches = writer.branches.map((branch) => resolve(branch, reader, path))
  // A union that fits with its null alone is a mistake rather than an evolution.
  const valued = branches.filter((_, index) => writer.branches[index]!.kind !== 'null')
  const considered = valued.length === 0 ? branches : valued
  const [first] = considered
  if (first?.op === 'mismatch' && considered.every((plan) => plan.op === 'mismatch')) return first
  return { op: 'union', branches }
}

function resolveReaderUnion(writer: AvroType, reader: UnionType, path: string): Plan {
  const nullable = reader.branches.some((branch) => branch.kind === 'null')
  const valued = reader.branches.filter((branch) => branch.kind !== 'null')
  if (writer.kind === 'null') return nullable ? { op: 'null' } : mismatch(writer, reader, path)
  const found = readerBranch(writer, valued, path)
  if ('op' in found) return found
  if (valued.length > 1) return { op: 'branch', child: found.index, nullable, value: found.plan }
  return nullable ? { op: 'present', value: found.plan } : found.plan
}

/**
 * The specification takes the first branch that matches. We look for one of the same type first, as Java does, else an int of the
 * union [long, int] would be read back as a long by the very schema that wrote it.
 */
function readerBranch(
  writer: AvroType,
  valued: readonly AvroType[],
  path: string,
): Mismatch | { readonly index: number; readonly plan: Plan } {
  let firstMismatch: Mismatch | null = null
  for (const sameType of [true, false]) {
    for (const [index, branch] of valued.entries()) {
      if (isSameType(writer, branch) !== sameType) continue
      const plan = resolvePlain(writer, branch, path)
      if (plan.op !== 'mismatch') return { index, plan }
      firstMismatch ??= plan
    }
  }
  if (firstMismatch !== null && valued.length === 1) return firstMismatch
  const names = valued.map(typeName).join(', ')
  return { op: 'mismatch', path, why: `${typeName(writer)} is none of the reader's branches ${names}` }
}

function isSameType(writer: AvroType, reader: AvroType): boolean {
  if (writer.kind !== reader.kind) return false
  return !('name' in writer) || !('name' in reader) || writer.name === reader.name
}

function resolvePlain(writer: AvroType, reader: AvroType, path: string): Plan {
  const refused = mismatch(writer, reader, path)
  if ('logical' in writer && 'logical' in reader && !logicalTypesAgree(writer.logical, reader.logical)) {
    return { ...refused, why: `logical type ${logicalText(writer)} is not ${logicalText(reader)}` }
  }
  switch (reader.kind) {
    case 'int':
    case 'long':
    case 'float':
    case 'double':
      if (!isPromotable(writer.kind, reader.kind)) return refused
      return { op: 'number', wire: writer.kind as WireNumber, as: reader.kind, millis: isMillis(reader) }
    case 'boolean':
      return writer.kind === 'boolean' ? { op: 'boolean' } : refused
    case 'string':
    case 'bytes':
      if (writer.kind !== 'string' && writer.kind !== 'bytes') return refused
      if (reader.logical?.kind !== 'decimal')
        return { op: 'binary', wire: writer.kind, text: reader.kind === 'string' }
      // Text is a string promoted to bytes, but its bytes are not a number.
      return writer.kind === 'bytes'
        ? { op: 'decimal', size: null, precision: reader.logical.precision }
        : refused
    case 'fixed':
      return writer.kind === 'fixed' ? resolveFixed(writer, reader, path) : refused
    case 'enum':
      return writer.kind === 'enum' ? resolveEnum(writer, reader, path) : refused
    case 'array': {
      if (writer.kind !== 'array') return refused
      const items = resolve(writer.items, reader.items, `${path}[]`)
      return items.op === 'mismatch' ? items : { op: 'array', items, width: widthMin(writer.items) }
    }
    case 'map': {
      if (writer.kind !== 'map') return refused
      const values = resolve(writer.values, reader.values, `${path}{}`)
      // A key takes a byte at least.
      return values.op === 'mismatch' ? values : { op: 'map', values, width: 1 + widthMin(writer.values) }
    }
    case 'record':
      return writer.kind === 'record' ? resolveRecord(writer, reader, path) : refused
    case 'null':
    case 'union':
      // fieldsOf refuses the first, and the second is resolved by its branches.
      return refused
    default:
      return reader satisfies never
  }
}

/** int → long → float → double, by any number of steps. */
function isPromotable(writer: AvroType['kind'], reader: WireNumber): boolean {
  const order = ['int', 'long', 'float', 'double']
  const from = order.indexOf(writer)
  return from >= 0 && from <= order.indexOf(reader)
}

function isMillis(type: AvroType): boolean {
  if (!('logical' in type) || type.logical === null) return false
  return type.logical.kind === 'timestamp-millis' || type.logical.kind === 'local-timestamp-millis'
}

function resolveFixed(writer: FixedType, reader: FixedType, path: string): Plan {
  if (!isNameMatch(writer, reader)) return nameMismatch(writer, reader, path)
  if (writer.size !== reader.size) {
    return {
      op: 'mismatch',
      path,
      why: `fixed of ${writer.size} bytes cannot be read as fixed of ${reader.size}`,
    }
  }
  if (reader.logical?.kind === 'uuid') return { op: 'uuid' }
  if (reader.logical?.kind === 'decimal') {
    return { op: 'decimal', size: reader.size, precision: reader.logical.precision }
  }
  return { op: 'fixed', size: reader.size }
}

function resolveEnum(writer: EnumType, reader: EnumType, path: string): Plan {
  if (!isNameMatch(writer, reader)) return nameMismatch(writer, reader, path)
  const fallback = reader.default === null ? -1 : reader.symbols.indexOf(reader.default)
  const indices = writer.symbols.map((symbol) => {
    const index = reader.symbols.indexOf(symbol)
    return index >= 0 ? index : fallback
  })
  if (indices.every((index) => index < 0)) {
    return { op: 'mismatch', path, why: `enum ${writer.name} has no symbol that the reader knows` }
  }
  return { op: 'enum', indices, symbols: writer.symbols }
}

function resolveRecord(writer: RecordType, reader: RecordType, path: string): Plan {
  if (!isNameMatch(writer, reader)) return nameMismatch(writer, reader, path)
  const targets = new Map<RecordField, { child: number; plan: Plan }[]>()
  const defaults: Step[] = []
  for (const [child, field] of reader.fields.entries()) {
    const inner = path === '' ? field.name : `${path}.${field.name}`
    const source = writerField(writer, field)
    if (source === undefined) {
      if (field.default === undefined) {
        return {
          op: 'mismatch',
          path: inner,
          why: 'the writer has no such field, and the reader no default for it',
        }
      }
      defaults.push({ op: 'default', child, type: field.type, value: field.default })
      continue
    }
    const plan = resolve(source.type, field.type, inner)
    if (plan.op === 'mismatch') return plan
    const list = targets.get(source)
    if (list === undefined) targets.set(source, [{ child, plan }])
    else list.push({ child, plan })
  }
  const steps = writer.fields.map((field): Step => {
    const list = targets.get(field)
    return list === undefined
      ? { op: 'skip', name: field.name, type: field.type }
      : { op: 'read', targets: list }
  })
  return { op: 'record', steps: [...steps, ...defaults] }
}

/** By the reader's name, else by the first of its aliases that the writer has. */
function writerField(writer: RecordType, field: RecordField): RecordField | undefined {
  for (const name of [field.name, ...field.aliases]) {
    const found = writer.fields.find((candidate) => candidate.name === name)
    if (found !== undefined) return found
  }
  return undefined
}

type Named = FixedType | EnumType | RecordType

/** The specification compares unqualified names; aliases are those of the reader. */
function isNameMatch(writer: Named, reader: Named): boolean {
  const name = simpleName(writer.name)
  return simpleName(reader.name) === name || reader.aliases.some((alias) => simpleName(alias) === name)
}

function nameMismatch(writer: Named, reader: Named, path: string): Mismatch {
  return {
    op: 'mismatch',
    path,
    why: `${writer.kind} ${writer.name} cannot be read as ${reader.name}; an alias in the reader's schema would allow it`,
  }
}

function mismatch(writer: AvroType, reader: AvroType, path: string): Mismatch {
  return { op: 'mismatch', path, why: `${describe(writer)} cannot be read as ${describe(reader)}` }
}

function describe(type: AvroType): string {
  if (type.kind === 'union') return `[${type.branches.map(typeName).join(', ')}]`
  return 'name' in type ? `${type.kind} ${simpleName(type.name)}` : type.kind
}

function logicalText(type: AvroType): string {
  if (!('logical' in type) || type.logical === null) return type.kind
  const { logical } = type
  return logical.kind === 'decimal' ? `decimal(${logical.precision}, ${logical.scale})` : logical.kind
}

/** The fewest bytes that a value takes on the wire. */
export function widthMin(type: AvroType): number {
  return measure(type, new Map())
}

const WIDTHS: Readonly<Record<string, number>> = { null: 0, float: 4, double: 8 }

function measure(type: AvroType, known: Map<AvroType, number>): number {
  if (type.kind === 'fixed') return type.size
  if (type.kind !== 'record') return WIDTHS[type.kind] ?? 1
  const before = known.get(type)
  if (before !== undefined) return before
  // A record that contains itself directly can never be written, so any width will do for it.
  known.set(type, 0)
  let width = 0
  for (const field of type.fields) width += measure(field.type, known)
  const bounded = Math.min(width, 0x7fffffff)
  known.set(type, bounded)
  return bounded
}

/** The branch of a reader's union that a default takes, as a child of its struct, or null for null. */
export function defaultChild(union: UnionType, value: unknown): { child: number; type: AvroType } | null {
  const branch = union.branches[defaultBranch(union, value)]
  if (branch === undefined || branch.kind === 'null') return null
  const valued = union.branches.filter((other) => other.kind !== 'null')
  return { child: valued.indexOf(branch), type: branch }
}
