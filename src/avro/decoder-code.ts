import { assert, unreachable } from '../errors.ts'
import { decimalLimit } from './decimal-bytes.ts'
import type { DecoderSource } from './decoder-source.ts'
import { defaultCode } from './default-code.ts'
import type { Plan, Step } from './resolution.ts'
import { skipperOf } from './skip.ts'
import type { Slot } from './slot-code.ts'
import { growItems, nullCode, roomCode, validCode } from './slot-code.ts'
import { BEYOND_END, BLOCK_SIZE, ENDS, NO_SUCH_INDEX, NOT_BOOLEAN, NOT_UTF8 } from './wire.ts'

/**
 * Code that carries out a plan: reads at `p` and writes row `row` (an expression) of the slot. It leaves `p` behind
 * what it read, or gives up the record.
 */
export function planCode(source: DecoderSource, plan: Plan, slot: Slot, row: string, path: string): string {
  const { id } = slot
  switch (plan.op) {
    case 'mismatch':
      return source.mismatch(path, plan.why)
    case 'null':
      return nullCode(slot, row)
    case 'present':
      return `${validCode(slot, row)}\n${planCode(source, plan.value, slot, row, path)}`
    case 'number':
      return numberCode(source, plan, slot, row, path)
    case 'boolean': {
      const site = source.site(path, 'a boolean')
      return [
        `if (p >= e) ${source.fail(site, ENDS)}`,
        'b = a[p]',
        `if (b > 1) ${source.fail(site, NOT_BOOLEAN)}`,
        'p++',
        `if (b === 1) V${id}[${row} >> 3] |= 1 << (${row} & 7); else V${id}[${row} >> 3] &= ~(1 << (${row} & 7))`,
      ].join('\n')
    }
    case 'binary':
      return binaryCode(
        source,
        plan.text,
        source.site(path, plan.wire === 'string' ? 'a string' : 'a bytes value'),
        slot,
        row,
      )
    case 'fixed': {
      const site = source.site(path, 'a fixed', plan.size)
      return `if (${plan.size} > e - p) ${source.fail(site, ENDS)}
copyBytes(a, p, ${plan.size}, V${id}, ${row} * ${plan.size})
p += ${plan.size}`
    }
    case 'uuid':
      return `if (16 > e - p) ${source.fail(source.site(path, 'a uuid', 16), ENDS)}
${roomCode(slot, row, '36')}
writeUuid(a, p, V${id}, o)
O${id}[${row} + 1] = o + 36
p += 16`
    case 'decimal':
      return decimalCode(source, plan, slot, row, path)
    case 'enum': {
      const site = source.site(path, 'an enum')
      const index = source.name()
      return `let ${index} = 0
${indexCode(source, site, index)}
if (${index} < 0 || ${index} >= ${plan.indices.length}) ${source.fail(site, NO_SUCH_INDEX)}
${enumIndexCode(source, plan, `V${id}[${row}]`, index, path)}`
    }
    case 'array':
    case 'map':
      return itemsCode(source, plan, slot, row, path)
    case 'record':
      return recordCode(source, plan.steps, slot.children, row, path)
    case 'union':
      return unionCode(source, plan.branches, slot, row, path)
    case 'branch': {
      const child = slot.children[plan.child]!
      return [
        plan.nullable ? validCode(slot, row) : '',
        ...slot.children.map((other) => (other === child ? validCode(child, row) : nullCode(other, row))),
        planCode(source, plan.value, child, row, path),
      ].join('\n')
    }
    default:
      return unreachable(plan)
  }
}

/** The fields of a record, in the order of the wire. */
export function recordCode(
  source: DecoderSource,
  steps: readonly Step[],
  slots: readonly Slot[],
  row: string,
  path: string,
): string {
  const pathOf = (name: string) => (path === '' ? name : `${path}.${name}`)
  const pieces = steps.map((step) => {
    switch (step.op) {
      case 'skip': {
        const skipper = source.value(skipperOf(step.type))
        const site = source.site(pathOf(step.name), `the skipped ${step.type.kind}`)
        return `q = ${skipper}(a, p, e, S, 0); if (q < 0) ${source.fail(site, 'q')}; p = q`
      }
      case 'default':
        return block(defaultCode(source, step.type, step.value, slots[step.child]!, row))
      case 'read': {
        const reads = step.targets.map(({ child, plan }) => {
          const slot = slots[child]!
          return block(planCode(source, plan, slot, row, pathOf(slot.field.name)))
        })
        if (reads.length === 1) return reads[0]!
        // One field on the wire feeds several: each reads it from its start.
        const start = source.name()
        return block(`const ${start} = p\n${reads.join(`\np = ${start}\n`)}`)
      }
      default:
        return unreachable(step)
    }
  })
  return source.sequence(pieces)
}

function block(code: string): string {
  return `{\n${code}\n}`
}

/** An int of usually one byte, into a variable. */
function indexCode(source: DecoderSource, site: number, into: string): string {
  return `if (p < e && (b = a[p]) < 128) { p++; ${into} = (b >>> 1) ^ -(b & 1) } else {
q = readInt(a, p, e, S, 0); if (q < 0) ${source.fail(site, 'q')}; p = q; ${into} = S[0] }`
}

function numberCode(
  source: DecoderSource,
  plan: Extract<Plan, { op: 'number' }>,
  slot: Slot,
  row: string,
  path: string,
): string {
  const { id } = slot
  const sizes = { int: null, long: null, float: 4, double: 8 }
  const site = source.site(path, plan.wire === 'int' ? 'an int' : `a ${plan.wire}`, sizes[plan.wire])
  switch (plan.wire) {
    case 'float':
    case 'double': {
      const [size, read] = plan.wire === 'float' ? [4, 'getFloat32'] : [8, 'getFloat64']
      return `if (${size} > e - p) ${source.fail(site, ENDS)}
V${id}[${row}] = view.${read}(p, true)
p += ${size}`
    }
    case 'int':
      if (plan.as === 'long') {
        const value = source.name()
        return `let ${value} = 0
${indexCode(source, site, value)}
V${id}[2 * ${row}] = ${value}
V${id}[2 * ${row} + 1] = ${value} >> 31`
      }
      return `if (p < e && (b = a[p]) < 128) { p++; V${id}[${row}] = (b >>> 1) ^ -(b & 1) }
else if (p + 1 < e && (q = a[p + 1]) < 128) { b = (b & 127) | (q << 7); p += 2; V${id}[${row}] = (b >>> 1) ^ -(b & 1) }
else { q = readInt(a, p, e, V${id}, ${row}); if (q < 0) ${source.fail(site, 'q')}; p = q }`
    case 'long': {
      if (plan.as === 'long') {
        const read = plan.millis ? 'readMillis' : 'readLong'
        return `q = ${read}(a, p, e, V${id}, 2 * ${row}); if (q < 0) ${source.fail(site, 'q')}; p = q`
      }
      const value = plan.as === 'float' ? 'longAsFloat(S[0], S[1])' : 'S[1] * 4294967296 + (S[0] >>> 0)'
      return `q = readLong(a, p, e, S, 0); if (q < 0) ${source.fail(site, 'q')}; p = q
V${id}[${row}] = ${value}`
    }
    default:
      return unreachable(plan.wire)
  }
}

/** A length, usually of one byte, into a new variable; the bytes are there. */
function lengthCode(source: DecoderSource, site: number): { name: string; code: string } {
  const name = source.name()
  const code = `let ${name} = 0
if (p < e && (b = a[p]) < 128 && (b & 1) === 0) { p++; ${name} = b >>> 1; if (${name} > e - p) ${source.fail(site, BEYOND_END)} } else {
q = readLength(a, p, e, S); if (q < 0) ${source.fail(site, 'q')}; p = q; ${name} = S[0] }`
  return { name, code }
}

function binaryCode(source: DecoderSource, isText: boolean, site: number, slot: Slot, row: string): string {
  const { id } = slot
  const { name, code } = lengthCode(source, site)
  const copied = `copyText(a, view, p, ${name}, V${id}, W${id}, o) !== 0`
  const copy = isText
    ? `if (${copied} && !isText(a, p, ${name})) ${source.fail(site, NOT_UTF8)}`
    : `copyBytes(a, p, ${name}, V${id}, o)`
  return `${code}
${roomCode(slot, row, name)}
${copy}
O${id}[${row} + 1] = o + ${name}
p += ${name}`
}

function decimalCode(
  source: DecoderSource,
  plan: Extract<Plan, { op: 'decimal' }>,
  slot: Slot,
  row: string,
  path: string,
): string {
  const site = source.site(path, `a decimal of ${plan.precision} digits`, plan.size)
  const limit = source.value(decimalLimit(plan.precision))
  const length =
    plan.size === null
      ? lengthCode(source, site)
      : { name: String(plan.size), code: `if (${plan.size} > e - p) ${source.fail(site, ENDS)}` }
  return `${length.code}
q = copyDecimal(a, p, ${length.name}, V${slot.id}, 16 * ${row}, ${limit}); if (q < 0) ${source.fail(site, 'q')}
p += ${length.name}`
}

function enumIndexCode(
  source: DecoderSource,
  plan: Extract<Plan, { op: 'enum' }>,
  into: string,
  index: string,
  path: string,
): string {
  if (plan.indices.every((value, position) => value === position)) return `${into} = ${index}`
  const indices = source.value(Int32Array.from(plan.indices))
  if (!plan.indices.includes(-1)) return `${into} = ${indices}[${index}]`
  const missing = plan.symbols.filter((_, position) => plan.indices[position] === -1)
  const mismatch = source.mismatch(path, `the reader's enum has none of ${missing.join(', ')}`)
  return `if (${indices}[${index}] < 0) ${mismatch}
${into} = ${indices}[${index}]`
}

function unionCode(
  source: DecoderSource,
  branches: readonly Plan[],
  slot: Slot,
  row: string,
  path: string,
): string {
  const site = source.site(path, 'a union branch')
  const index = source.name()
  const cases = branches.map(
    (plan, position) => `case ${position}: {\n${planCode(source, plan, slot, row, path)}\nbreak }`,
  )
  return `let ${index} = 0
${indexCode(source, site, index)}
switch (${index}) {
${cases.join('\n')}
default: ${source.fail(site, NO_SUCH_INDEX)}
}`
}

/** Blocks of items or entries, until one is empty. */
function itemsCode(
  source: DecoderSource,
  plan: Extract<Plan, { op: 'array' | 'map' }>,
  slot: Slot,
  row: string,
  path: string,
): string {
  const site = source.site(path, plan.op === 'array' ? 'an array block' : 'a map block')
  const [count, end, index] = [source.name(), source.name(), source.name()]
  const item = `K${slot.id}`
  let body: string
  if (plan.op === 'array') {
    body = planCode(source, plan.items, slot.children[0]!, item, `${path}[]`)
  } else {
    const [keys, values] = slot.children
    assert(keys !== undefined && values !== undefined, 'a map column has keys and values')
    const key = binaryCode(source, true, source.site(`${path}{}`, 'a key'), keys, item)
    body = `${block(key)}\n${block(planCode(source, plan.values, values, item, `${path}{}`))}`
  }
  return `for (;;) {
q = readBlock(a, p, e, S, ${plan.width}); if (q < 0) ${source.fail(site, 'q')}; p = q
const ${count} = S[0], ${end} = S[1]
if (${count} === 0) break
${growItems(slot, count)}
for (let ${index} = 0; ${index} < ${count}; ${index}++) {
${source.sequence([body, `${item}++`])}
}
if (${end} >= 0 && p !== ${end}) ${source.fail(site, BLOCK_SIZE)}
}
O${slot.id}[${row} + 1] = ${item}`
}
