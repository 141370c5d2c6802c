import { compileAppender } from '../../columns/append.ts'
import type { RowAppender } from '../../columns/append.ts'
import type { Column } from '../../columns/column.ts'
import type { Field } from '../../columns/column-type.ts'
import { compileRow } from '../../columns/row.ts'
import type { RowReader } from '../../columns/row.ts'
import { PipelineError, assert, messageOf } from '../../errors.ts'
import type { CustomAggregateSpec } from '../../topology/node.ts'
import type { RowsAbout } from './accumulator.ts'
import { jsonCopy } from './json-state.ts'
import type { LargeState } from './pane-states.ts'

export interface CustomStatesOptions {
  readonly resultField: Field
  readonly spec: CustomAggregateSpec
  /** Of the rows that `add` sees. */
  readonly row: readonly Field[]
}

/** The user's state of a pane. */
interface Held {
  value: unknown
}

/**
 * A custom aggregate: `prepare` makes each row's own state, add(init(), row), and only merging puts states together. So the
 * result of a pane is the same however its rows were split, if `merge` is associative and commutative.
 *
 * A pane begins with init(): where a `merge` changes its left argument, against its contract, that is a state nobody else has.
 */
export class CustomStates implements LargeState<Held> {
  readonly resultField: Field
  readonly #init: () => unknown
  readonly #add: (state: unknown, row: object) => unknown
  readonly #merge: (left: unknown, right: unknown) => unknown
  readonly #result: (state: unknown) => unknown
  readonly #reader: RowReader
  readonly #append: RowAppender
  /** Of the rows prepared last. */
  #rowStates: Held[] = []
  /** By row - base: which of them is that of the row; -1 for none. */
  #places = new Int32Array(0)

  constructor({ resultField, spec, row }: CustomStatesOptions) {
    this.resultField = resultField
    this.#init = spec.init
    this.#add = spec.add as (state: unknown, row: object) => unknown
    this.#merge = spec.merge as (left: unknown, right: unknown) => unknown
    this.#result = spec.result as (state: unknown) => unknown
    this.#reader = compileRow(row)
    this.#append = compileAppender([resultField])
  }

  /** A throw of `init` or `add` refuses the row. The function's name ends the stack in the dead letter, see row-step.ts. */
  prepare(
    rows: Int32Array,
    count: number,
    about: RowsAbout,
    refuse: (row: number, error: unknown) => void,
  ): void {
    const millraceStep = (row: number): unknown => this.#add(this.#init(), this.#reader.at(row))
    this.#reader.bind(about.columns)
    this.#rowStates = []
    this.#places.fill(-1)
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      try {
        this.#place(row - about.base, { value: millraceStep(row) })
      } catch (error) {
        refuse(row, error)
      }
    }
  }

  create(): Held {
    return { value: this.#run('init', this.#init) }
  }

  addRows(
    states: (Held | null)[],
    _column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
    about: RowsAbout,
  ): void {
    for (let i = 0; i < count; i++) {
      const held = this.#rowStates[this.#places[rows[i]! - about.base] ?? -1]
      assert(held !== undefined, `aggregate ${this.resultField.name}: a row was not prepared`)
      this.merge((states[panes[i]!] ??= this.create()), held)
    }
  }

  merge(into: Held, from: Held): void {
    into.value = this.#run('merge', () => this.#merge(into.value, from.value))
  }

  appendResult(held: Held | null, column: Column): void {
    const state = held === null ? this.create() : held
    const value = this.#run('result', () => this.#result(state.value))
    const why = this.#append({ [this.resultField.name]: value }, [column])
    if (why !== null) {
      const advice = 'Return a value of the type that the aggregate declares, or declare another one.'
      throw this.#failed(`the value of result does not fit: ${why}`, { advice })
    }
  }

  /** In an array, because the state of a pane with rows may be null itself. */
  write(held: Held): unknown {
    const json = jsonCopy(held.value)
    if ('copy' in json) return [json.copy]
    throw new PipelineError(
      'AGGREGATE_STATE',
      `aggregate ${this.resultField.name}: JSON cannot hold its state: ${json.why}`,
      {
        advice:
          'A state is made of null, booleans, finite numbers, strings, arrays and plain objects, without undefined. Keep a bigint or a date as a string or a number, a Map as an array of pairs, and leave out what is undefined.',
      },
    )
  }

  read(json: unknown): Held {
    assert(Array.isArray(json) && json.length === 1, 'the state of a custom aggregate is in an array')
    return { value: json[0] as unknown }
  }

  #place(at: number, held: Held): void {
    if (at >= this.#places.length) {
      const places = new Int32Array(Math.max(at + 1, this.#places.length * 2, 1024)).fill(-1)
      places.set(this.#places)
      this.#places = places
    }
    this.#places[at] = this.#rowStates.push(held) - 1
  }

  #run<Result>(name: string, call: () => Result): Result {
    try {
      return call()
    } catch (error) {
      const advice = `${name} must take every state that init, add and merge return. A row that cannot be taken is refused by a throw of add.`
      throw this.#failed(`${name} threw: ${messageOf(error)}`, { advice, cause: error })
    }
  }

  #failed(what: string, options: { readonly advice: string; readonly cause?: unknown }): PipelineError {
    return new PipelineError('AGGREGATE_FAILED', `aggregate ${this.resultField.name}: ${what}`, options)
  }
}
