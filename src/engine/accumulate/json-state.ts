import { kindOf, isPlainObject, shown } from '../../columns/object-shape.ts'
import { setOwn } from '../../columns/set-own.ts'

/** A state is not nested deeper: what refers to itself would have no end. */
const DEPTH_MAX = 100

/**
 * A copy of a value of the user as JSON text would give it back, the properties of objects in the order of their names, or else why
 * JSON would lose something of it, with the path where that is. -0 becomes 0.
 */
export function jsonCopy(value: unknown): { readonly copy: unknown } | { readonly why: string } {
  try {
    return { copy: copied(value, 'state', 0) }
  } catch (error) {
    if (error instanceof NotJson) return { why: error.message }
    throw error
  }
}

class NotJson extends Error {}

function copied(value: unknown, path: string, depth: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new NotJson(`${path} is ${value}`)
    return value + 0
  }
  if (depth > DEPTH_MAX) throw new NotJson(`${path.slice(0, 60)}… is nested deeper than ${DEPTH_MAX}`)
  if (Array.isArray(value)) return copiedArray(value, path, depth)
  if (!isPlainObject(value))
    throw new NotJson(`${path} is ${typeof value === 'object' ? kindOf(value) : shown(value)}`)
  const symbols = Object.getOwnPropertySymbols(value)
  if (symbols.length > 0) throw new NotJson(`${path} has the property ${String(symbols[0])}`)
  const copy: Record<string, unknown> = {}
  const object = value as Readonly<Record<string, unknown>>
  for (const name of Object.keys(object).sort()) {
    setOwn(copy, name, copied(object[name], `${path}.${name}`, depth + 1))
  }
  return copy
}

function copiedArray(array: readonly unknown[], path: string, depth: number): unknown {
  const names = Object.keys(array)
  const odd = names.find((name, index) => name !== String(index))
  if (odd !== undefined || names.length !== array.length) {
    const last = odd ?? String(names.length)
    throw new NotJson(
      `${path} is an array ${array.length > names.length ? 'with holes' : `with the property ${last}`}`,
    )
  }
  return array.map((item, index) => copied(item, `${path}[${index}]`, depth + 1))
}
