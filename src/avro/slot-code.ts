import type { Column } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'

/**
 * How generated code holds a column. Names: Cn the column, Vn its values, Wn a view of them, On offsets, Nn validity, Kn items so far in the
 * child of a list or map, Ln items for which that child has room.
 */
export interface Slot {
  readonly id: number
  readonly field: Field
  readonly storage: Column['storage']
  readonly nullable: boolean
  /** Of a struct; the element of a list; keys and values of a map. */
  readonly children: readonly Slot[]
  /** How the code reaches the column. */
  readonly access: string
}

/** Reads the arrays of a column and of the children that have the same rows. */
export function hoist(slot: Slot): string[] {
  const { id } = slot
  const lines: string[] = []
  if (slot.nullable) lines.push(`N${id} = C${id}.validity`)
  switch (slot.storage) {
    case 'int32':
    case 'float32':
    case 'float64':
      lines.push(`V${id} = C${id}.values`)
      break
    case 'int64':
      lines.push(`V${id} = C${id}.words`)
      break
    case 'boolean':
      lines.push(`V${id} = C${id}.bits`)
      break
    case 'fixed':
      lines.push(`V${id} = C${id}.data`)
      break
    case 'binary':
      lines.push(dataCode(id), `O${id} = C${id}.offsets`)
      break
    case 'list':
    case 'map':
      lines.push(`O${id} = C${id}.offsets`)
      break
    case 'struct':
      lines.push(...slot.children.flatMap(hoist))
      break
    default:
      slot.storage satisfies never
  }
  return lines
}

/** Makes room for `count` more items in the child of a list or map. */
export function growItems(slot: Slot, count: string): string {
  const { id } = slot
  return [
    `if (K${id} + ${count} > L${id}) {`,
    `L${id} = K${id} + ${count} + (K${id} >> 1) + 64`,
    // `reserve` keeps only what is below `length`.
    ...slot.children.flatMap((child) => lengths(child, `K${id}`, false)),
    ...slot.children.map((child) => `C${child.id}.reserve(L${id})`),
    ...slot.children.flatMap(hoist),
    '}',
  ].join('\n')
}

/** Sets the lengths of a column and of the children with the same rows; `deep` those of the items of lists too. */
export function lengths(slot: Slot, row: string, deep: boolean): string[] {
  const own = `C${slot.id}.length = ${row}`
  if (slot.storage === 'struct') return [own, ...slot.children.flatMap((child) => lengths(child, row, deep))]
  if (!deep || (slot.storage !== 'list' && slot.storage !== 'map')) return [own]
  const items = `k${slot.id}`
  const inner = slot.children.flatMap((child) => lengths(child, items, true))
  return [own, `const ${items} = O${slot.id}[${row}]`, ...inner]
}

export function columnsOf(slot: Slot): string[] {
  return [`C${slot.id} = ${slot.access}`, ...slot.children.flatMap(columnsOf)]
}

/** How far the children of lists and maps are filled when the call begins. */
export function counters(slot: Slot): string[] {
  const inner = slot.children.flatMap(counters)
  if (slot.storage !== 'list' && slot.storage !== 'map') return inner
  const { id } = slot
  const [child] = slot.children
  return [`K${id} = C${child!.id}.length`, `L${id} = K${id}`, ...slot.children.flatMap(hoist), ...inner]
}

export function variablesOf(slot: Slot): string[] {
  const names = [`C${slot.id}`]
  if (slot.nullable) names.push(`N${slot.id}`)
  if (slot.storage !== 'struct' && slot.storage !== 'list' && slot.storage !== 'map')
    names.push(`V${slot.id}`)
  if (slot.storage === 'binary') names.push(`W${slot.id}`, `O${slot.id}`)
  if (slot.storage === 'list' || slot.storage === 'map')
    names.push(`O${slot.id}`, `K${slot.id}`, `L${slot.id}`)
  return [...names, ...slot.children.flatMap(variablesOf)]
}

/** Null in a row that is there: each child has a row for it, with empty ranges. */
export function nullCode(slot: Slot, row: string): string {
  const lines: string[] = []
  if (slot.nullable) lines.push(`N${slot.id}[${row} >> 3] &= ~(1 << (${row} & 7))`)
  if (slot.storage === 'binary' || slot.storage === 'list' || slot.storage === 'map') {
    lines.push(`O${slot.id}[${row} + 1] = O${slot.id}[${row}]`)
  }
  if (slot.storage === 'struct') lines.push(...slot.children.map((child) => nullCode(child, row)))
  return lines.filter((line) => line !== '').join('\n')
}

export function validCode(slot: Slot, row: string): string {
  return `N${slot.id}[${row} >> 3] |= 1 << (${row} & 7)`
}

/** Puts the end of a binary column's data into `o` and makes room behind it. */
export function roomCode(slot: Slot, row: string, bytes: string): string {
  const { id } = slot
  return `o = O${id}[${row}]
if (o + ${bytes} > V${id}.length) { C${id}.reserveData(o + ${bytes}); ${dataCode(id)} }`
}

function dataCode(id: number): string {
  return `V${id} = C${id}.data; W${id} = new DataView(V${id}.buffer, V${id}.byteOffset, V${id}.byteLength)`
}
