/** A value that its schema does not take. */
export class MisfitError extends Error {
  /** The field: 'pickup.lat', 'tags[3]'; '' is the value itself. Built from the inside out, so that what fits pays nothing for it. */
  path = ''

  constructor(message: string) {
    super(message)
    this.name = 'MisfitError'
  }
}

/** The error, with one step more in front of its path: 'lat', '[3]'. */
export function within(step: string, error: unknown): unknown {
  if (error instanceof MisfitError) {
    const dot = error.path === '' || error.path.startsWith('[') ? '' : '.'
    error.path = `${step}${dot}${error.path}`
  }
  return error
}

const SHOWN_CHARACTERS_MAX = 60

export function misfit(expected: string, value: unknown): never {
  throw new MisfitError(`${expected}, but is ${shown(value)}`)
}

/** With what tells a bigint, a Date and bytes from what looks like them. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  if (typeof value === 'bigint') return `${value}n`
  // NaN and the infinities, which JSON does not have, too.
  if (typeof value === 'number') return `${value}`
  if (value instanceof Date) return 'a Date (use its getTime())'
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  const text = JSON.stringify(value)
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text
}
