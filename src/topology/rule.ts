import type { Decimal } from '../columns/decimal.ts'
import { PipelineError } from '../errors.ts'
import type { At, AnyKind, PathOf } from './kinds.ts'
import type { Rule } from './node.ts'

/**
 * A rule for a field whose values are of type V: plain data, made by the functions below. A null passes every rule
 * but `notNull`.
 */
export type FieldRule<V> = TestRule<V> | OneOfRule<V>

/** Fits every field whose values it can test: `between` a double and a bigint, `notNull` everything. */
export interface TestRule<in V> {
  readonly kind: Exclude<Rule['kind'], 'one-of'>
  /** A phantom: never present at run time. */
  readonly accepts?: (value: V) => void
}

/** Fits the fields that can have its values, so that a misspelt symbol of an enum does not compile. */
export interface OneOfRule<out V> {
  readonly kind: 'one-of'
  readonly values: readonly V[]
}

/** The rules of one `expect`: a rule, or several, for each path. */
export type ExpectRules<Row, Kinds> = {
  readonly [Path in PathOf<Kinds, AnyKind>]?: RuleOrRules<At<Row, Path>>
}

/** Any rule, where the types know nothing of the values. */
type RuleFor<V> = unknown extends V ? TestRule<never> | OneOfRule<unknown> : FieldRule<NonNullable<V>>

type RuleOrRules<V> = RuleFor<V> | readonly RuleFor<V>[]

type HasLength = string | Uint8Array | readonly unknown[] | Readonly<Record<string, unknown>>

/** Inclusive at both ends. NaN is not between anything. */
export function between(min: number | bigint, max: number | bigint): TestRule<number | bigint | Decimal> {
  checkBound('between', min)
  checkBound('between', max)
  if (max < min) throw invalid(`between(${min}, ${max}) admits nothing`, 'Give the smaller bound first.')
  return rule({ kind: 'between', min, max })
}

/** `>=`. */
export function atLeast(min: number | bigint): TestRule<number | bigint | Decimal> {
  checkBound('atLeast', min)
  return rule({ kind: 'at-least', min })
}

/** `<=`. */
export function atMost(max: number | bigint): TestRule<number | bigint | Decimal> {
  checkBound('atMost', max)
  return rule({ kind: 'at-most', max })
}

export function oneOf<const V extends string | number | bigint | boolean>(
  ...values: readonly V[]
): OneOfRule<V> {
  if (values.length === 0) throw invalid('oneOf() admits nothing', 'Name at least one value.')
  return { kind: 'one-of', values }
}

export function notNull(): TestRule<unknown> {
  return rule({ kind: 'not-null' })
}

/** The expression may match anywhere: anchor it with ^ and $ where the whole text is meant. */
export function matches(pattern: RegExp): TestRule<string> {
  if (!(pattern instanceof RegExp)) {
    throw invalid(
      `matches(${String(pattern)}) needs a regular expression`,
      'Write it as in matches(/^[A-Z]{3}$/).',
    )
  }
  if (pattern.global || pattern.sticky) {
    throw invalid(
      `matches(${String(pattern)}) would remember where it stopped from one row to the next`,
      'Leave out the flags g and y.',
    )
  }
  return rule({ kind: 'matches', pattern: pattern.source, flags: pattern.flags })
}

/** Inclusive at both ends. Characters (code points) of a string, bytes, items of an array, entries of a map. */
export function lengthBetween(min: number, max: number): TestRule<HasLength> {
  if (!Number.isInteger(min) || min < 0 || !(max === Number.POSITIVE_INFINITY || Number.isInteger(max))) {
    throw invalid(`lengthBetween(${min}, ${max}) needs whole numbers`, 'The maximum may be Infinity.')
  }
  if (max < min)
    throw invalid(`lengthBetween(${min}, ${max}) admits nothing`, 'Give the smaller bound first.')
  return rule({ kind: 'length-between', min, max })
}

/** A test of your own. It must depend on the value alone: the same input is to give the same rows, always. */
export function satisfies<V>(test: (value: V) => boolean): TestRule<V> {
  if (typeof test !== 'function')
    throw invalid('satisfies() needs a function', 'As in satisfies((v) => v > 0).')
  return rule({ kind: 'satisfies', test: test as (value: unknown) => boolean })
}

/** TestRule is Rule with its contents hidden from the types. */
function rule(contents: Exclude<Rule, { kind: 'one-of' }>): { readonly kind: TestRule<never>['kind'] } {
  return contents
}

function checkBound(name: string, bound: unknown): void {
  if (typeof bound === 'bigint' || (typeof bound === 'number' && !Number.isNaN(bound))) return
  throw invalid(`${name}(${String(bound)}) needs a number`, 'Bounds are numbers or bigints.')
}

function invalid(message: string, advice: string): PipelineError {
  return new PipelineError('INVALID_RULE', message, { advice })
}
