import type { ColumnKind, ColumnType, Field } from '../columns/column-type.ts'
import { unreachable } from '../errors.ts'
import { type Problem, problem, shown } from './problem.ts'

/** Finds 'fare' or 'pickup.lat'. Records that may be null are not entered. A caller in plain JavaScript may give anything. */
export function findField(fields: readonly Field[], given: unknown, step: string): Field | Problem {
  const path = typeof given === 'string' ? given : shown(given)
  let level = fields
  let found: Field | null = null
  for (const name of path.split('.')) {
    if (found !== null) {
      if (found.type.kind !== 'struct' || found.type.union === true) {
        return problem(
          'FIELD_UNKNOWN',
          step,
          `'${path}' enters '${found.name}', which is not a record`,
          namesAdvice(level, name),
        )
      }
      if (found.nullable) {
        return problem(
          'FIELD_UNKNOWN',
          step,
          `'${path}' enters '${found.name}', a record that may be null`,
          'Take it apart in a map step first, which says what stands for a missing record.',
        )
      }
      level = found.type.fields
    }
    const match = level.find((field) => field.name === name)
    if (match === undefined) {
      return problem('FIELD_UNKNOWN', step, `there is no field '${path}'`, namesAdvice(level, name))
    }
    found = match
  }
  return found as Field
}

export function isProblem(value: Field | Problem): value is Problem {
  return 'advice' in value
}

/** Types as a person says them: 'string', 'timestamp-millis', 'record'. */
export function typeText(type: ColumnType): string {
  switch (type.kind) {
    case 'int32':
      return 'int'
    case 'int64':
      return 'long'
    case 'float32':
      return 'float'
    case 'float64':
      return 'double'
    case 'time':
      return `time-${type.unit}`
    case 'timestamp':
      return `${type.local ? 'local-' : ''}timestamp-${type.unit}`
    case 'decimal':
      return `decimal(${type.precision}, ${type.scale})`
    case 'fixed':
      return `fixed(${type.size})`
    case 'list':
      return `array of ${typeText(type.element.type)}`
    case 'map':
      return `map of ${typeText(type.value.type)}`
    case 'struct':
      return type.union === true ? 'union' : 'record'
    case 'boolean':
    case 'string':
    case 'bytes':
    case 'enum':
    case 'date':
      return type.kind
    default:
      return unreachable(type)
  }
}

/** 'an int', 'a string'. */
export function anyTypeText(type: ColumnType): string {
  const text = typeText(type)
  return `${/^[aeio]/.test(text) ? 'an' : 'a'} ${text}`
}

const GROUPABLE: ReadonlySet<ColumnKind> = new Set<ColumnKind>([
  'string',
  'int32',
  'int64',
  'boolean',
  'enum',
  'date',
  'timestamp',
])
const NUMERIC: ReadonlySet<ColumnKind> = new Set<ColumnKind>([
  'int32',
  'int64',
  'float32',
  'float64',
  'decimal',
])

/** What can be a key. NaN and -0 have no one answer to "is it the same?", so floats cannot. */
export function isGroupable(type: ColumnType): boolean {
  return GROUPABLE.has(type.kind)
}

export function isNumeric(type: ColumnType): boolean {
  return NUMERIC.has(type.kind)
}

/** What `min` and `max` take. */
export function isOrdered(type: ColumnType): boolean {
  return isRanged(type) || type.kind === 'string' || type.kind === 'bytes'
}

/** What `between`, `atLeast` and `atMost` take. */
export function isRanged(type: ColumnType): boolean {
  return isNumeric(type) || type.kind === 'date' || type.kind === 'time' || type.kind === 'timestamp'
}

/** One value: no array, map, record or union. */
export function isScalar(type: ColumnType): boolean {
  return type.kind !== 'list' && type.kind !== 'map' && type.kind !== 'struct'
}

/** What can name a folder. */
export function isPartitionable(type: ColumnType): boolean {
  return isGroupable(type) && type.kind !== 'timestamp'
}

const NAMES_SHOWN_MAX = 30

function namesAdvice(fields: readonly Field[], wanted: string): string {
  const names = fields.map(({ name }) => name)
  const near = nearestName(names, wanted)
  const more = names.length > NAMES_SHOWN_MAX ? ', …' : ''
  const list = `The fields are ${names.slice(0, NAMES_SHOWN_MAX).join(', ')}${more}.`
  return near === null ? list : `Did you mean '${near}'? ${list}`
}

/** A name that differs by case, by a letter or two, or by a third of a long name. */
function nearestName(names: readonly string[], wanted: string): string | null {
  let nearest: string | null = null
  let least = 1 + (wanted.length <= 3 ? 1 : Math.max(2, Math.floor(wanted.length / 3)))
  for (const name of names) {
    const distance = editDistance(name.toLowerCase(), wanted.toLowerCase())
    if (distance < least) {
      least = distance
      nearest = name
    }
  }
  return nearest
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance(left: string, right: string): number {
  let above = Array.from({ length: right.length + 1 }, (_, j) => j)
  for (let i = 1; i <= left.length; i++) {
    const row = [i]
    for (let j = 1; j <= right.length; j++) {
      const substitution = above[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, above[j]! + 1, row[j - 1]! + 1))
    }
    above = row
  }
  return above[right.length]!
}
