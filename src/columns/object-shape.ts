/** Looking at values that a user's callback returned, of which nothing is known. */

/** An object that may be a record: of any class, but neither an array nor null. */
export function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Why the value is no record. `path` is '' for the row itself. */
export function recordMisfit(value: unknown, path: string): string {
  if (path !== '') return `field ${path} is ${kindOf(value)}, not an object`
  return `the row is ${kindOf(value)}, not an object${value === undefined ? ': does the function return it?' : ''}`
}

/** A message that names a property which is none of the fields, or null. */
export function unknownField(value: object, names: readonly string[], path: string): string | null {
  const unknown = Object.keys(value).find((name) => !names.includes(name))
  if (unknown === undefined) return null
  const subject = path === '' ? unknown : `${path}.${unknown}`
  return `field ${subject} is not in the schema, which has ${names.join(', ')}`
}

/** An object as a literal makes it: what JavaScript uses for dictionaries. */
export function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** A property; `__proto__` and the like only where they are the object's own. */
export function lookup(value: unknown, name: string): unknown {
  const object = value as Readonly<Record<string, unknown>>
  return name in Object.prototype && !Object.hasOwn(object, name) ? undefined : object[name]
}

/** As `lookup`, for one name. Each has code of its own: the engine then remembers where the property is. */
export function propertyReader(name: string): (value: object) => unknown {
  if (name in Object.prototype) return (value) => lookup(value, name)
  return new Function('value', `return value[${JSON.stringify(name)}]`) as (value: object) => unknown
}

/** 'a string', 'null', 'an array': what sort of value it is. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value !== 'object') return `a ${typeof value}`
  const name = (value.constructor as { name?: unknown } | undefined)?.name
  return typeof name === 'string' && name !== '' && name !== 'Object' ? `a ${name}` : 'an object'
}

/** A value in a message, at most a line of it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number' || typeof value === 'boolean')
    return Object.is(value, -0) ? '-0' : String(value)
  return kindOf(value)
}
