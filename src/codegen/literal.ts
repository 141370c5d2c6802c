/** The width that this project and many others format to. */
export const LINE_WIDTH = 110

/** Behind a shorter key a long string stays where it is. */
const MOVING_KEY_MIN = 5

/**
 * JSON as the TypeScript literal that a formatter (Biome, Prettier: single quotes, no semicolons) leaves alone, so that
 * generated files pass a format check.
 */
export function literalText(json: unknown, indent: number, column: number): string {
  return new LiteralPrinter().text(json, indent, column, 0)
}

class LiteralPrinter {
  /** `column` is where the text starts, `after` how many characters follow it on its last line. */
  text(json: unknown, indent: number, column: number, after: number): string {
    if (!mustBreak(json)) {
      const flat = flatText(json)
      if (column + flat.length + after <= LINE_WIDTH || typeof json !== 'object') return flat
    }
    return Array.isArray(json) ? this.#array(json, indent) : this.#object(json as object, indent)
  }

  #array(items: readonly unknown[], indent: number): string {
    const inner = ' '.repeat(indent + 2)
    if (items.every((item) => typeof item === 'number')) return this.#numbers(items, indent)
    const lines = items.map((item) => `${inner}${this.text(item, indent + 2, indent + 2, 1)},`)
    return `[\n${lines.join('\n')}\n${' '.repeat(indent)}]`
  }

  /** Numbers are put as many on a line as fit. */
  #numbers(items: readonly number[], indent: number): string {
    const inner = ' '.repeat(indent + 2)
    const lines: string[] = []
    let line = inner
    for (const item of items) {
      const word = `${numberText(item)},`
      if (line.length > inner.length && line.length + 1 + word.length > LINE_WIDTH) {
        lines.push(line)
        line = inner
      }
      line += line.length > inner.length ? ` ${word}` : word
    }
    return `[\n${[...lines, line].join('\n')}\n${' '.repeat(indent)}]`
  }

  #object(json: object, indent: number): string {
    const inner = ' '.repeat(indent + 2)
    const lines = entriesOf(json).map(([key, value]) => {
      const name = keyText(key)
      const column = indent + 2 + name.length + 2
      const text = this.text(value, indent + 2, column, 1)
      // A string that does not fit goes to a line of its own, unless it would move by a few characters only.
      const moves =
        typeof value === 'string' && column + text.length + 1 > LINE_WIDTH && name.length >= MOVING_KEY_MIN
      return moves ? `${inner}${name}:\n${inner}  ${text},` : `${inner}${name}: ${text},`
    })
    return `{\n${lines.join('\n')}\n${' '.repeat(indent)}}`
  }
}

function flatText(json: unknown): string {
  if (Array.isArray(json)) return `[${json.map(flatText).join(', ')}]`
  if (typeof json === 'object' && json !== null) {
    const members = entriesOf(json).map(([key, value]) => `${keyText(key)}: ${flatText(value)}`)
    return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`
  }
  if (typeof json === 'string') return stringText(json)
  return typeof json === 'number' ? numberText(json) : JSON.stringify(json)
}

/** Several objects, or several arrays, with more than one member each are never put on one line. */
function mustBreak(json: unknown): boolean {
  if (Array.isArray(json)) {
    const items: readonly unknown[] = json
    const matrix = items.every((item) => Array.isArray(item) && item.length > 1)
    const table = items.every((item) => isObject(item) && entriesOf(item).length > 1)
    return (items.length > 1 && (matrix || table)) || items.some(mustBreak)
  }
  return isObject(json) && entriesOf(json).some(([, value]) => mustBreak(value))
}

function isObject(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** `__proto__` in a literal would set the prototype; no schema means that. */
function entriesOf(json: object): readonly (readonly [string, unknown])[] {
  return Object.entries(json).filter(([key]) => key !== '__proto__')
}

function keyText(key: string): string {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(key) ? key : stringText(key)
}

function numberText(value: number): string {
  return JSON.stringify(value).replace('e+', 'e')
}

/** In single quotes, unless that needs more escapes than double ones. */
export function stringText(text: string): string {
  const json = JSON.stringify(text).replace(/[\u2028\u2029]/g, (character) =>
    character === '\u2028' ? '\\u2028' : '\\u2029',
  )
  const singles = text.split("'").length
  const doubles = text.split('"').length
  if (singles > doubles) return json
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}
