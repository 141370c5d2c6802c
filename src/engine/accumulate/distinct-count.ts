import type { Column } from '../../columns/column.ts'
import type { ColumnType, Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { RowsAbout } from './accumulator.ts'
import { heldTypeOf } from './held-value.ts'
import type { HeldType, HeldValue } from './held-value.ts'
import {
  addHash,
  createRegisters,
  estimateOf,
  mergeRegisters,
  readRegisters,
  writeRegisters,
} from './hyperloglog.ts'
import type { Registers } from './hyperloglog.ts'
import type { LargeState } from './pane-states.ts'
import { appendWhole } from './result-column.ts'
import { ValueHash } from './value-hash.ts'

interface Distinct {
  readonly values: Set<HeldValue>
  /** Instead of the values, once there are too many of them. */
  registers: Registers | null
}

/**
 * The number of distinct values: exact up to `exactMax`, an estimate of HyperLogLog beyond. Which of the two it is
 * depends on that number alone: however rows are split, a pane has registers if and only if it has seen more than
 * `exactMax` different values, and the registers are those of all its values.
 *
 * Floats are the same value where they are equal: -0 is 0, and NaN is one value.
 */
export class DistinctCount implements LargeState<Distinct> {
  readonly resultField: Field
  readonly #exactMax: number
  readonly #held: HeldType
  readonly #hash: ValueHash

  constructor(options: {
    readonly resultField: Field
    readonly input: ColumnType
    readonly exactMax: number
  }) {
    this.resultField = options.resultField
    this.#exactMax = options.exactMax
    this.#held = heldTypeOf(options.input)
    this.#hash = new ValueHash(options.input, this.#held)
  }

  create(): Distinct {
    return { values: new Set(), registers: null }
  }

  addRows(
    states: (Distinct | null)[],
    column: Column | null,
    rows: Int32Array,
    panes: Int32Array,
    count: number,
    _about: RowsAbout,
  ): void {
    assert(column !== null, 'a count of distinct values has an input column')
    const validity = column.validity
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (validity !== null && ((validity[row >> 3]! >> (row & 7)) & 1) === 0) continue
      const pane = panes[i]!
      const state = (states[pane] ??= this.create())
      if (state.registers === null) this.#add(state, this.#held.take(column, row))
      else addHash(state.registers, this.#hash.ofRow(column, row))
    }
  }

  merge(into: Distinct, from: Distinct): void {
    if (from.registers !== null) mergeRegisters(this.#registersOf(into), from.registers)
    else for (const value of from.values) this.#add(into, value)
  }

  appendResult(state: Distinct | null, column: Column): void {
    appendWhole(column, state === null ? 0 : this.#countOf(state))
  }

  /** The values in order, or the registers as text. */
  write(state: Distinct): unknown {
    if (state.registers !== null) return writeRegisters(state.registers)
    const { compare, toJson } = this.#held
    return [...state.values].sort(compare).map(toJson)
  }

  read(json: unknown): Distinct {
    if (typeof json === 'string') return { values: new Set(), registers: readRegisters(json) }
    assert(Array.isArray(json), 'the state of a count of distinct values is an array or a string')
    return { values: new Set(json.map(this.#held.fromJson)), registers: null }
  }

  /** A set takes -0 for 0 and NaN for itself, and bigints by their value. */
  #add(state: Distinct, value: HeldValue): void {
    if (state.registers !== null) addHash(state.registers, this.#hash.of(value))
    else {
      state.values.add(value)
      if (state.values.size > this.#exactMax) this.#registersOf(state)
    }
  }

  #registersOf(state: Distinct): Registers {
    if (state.registers !== null) return state.registers
    const registers = createRegisters()
    for (const value of state.values) addHash(registers, this.#hash.of(value))
    state.values.clear()
    state.registers = registers
    return registers
  }

  /** There are more than `exactMax` for certain where there are registers. */
  #countOf({ values, registers }: Distinct): number {
    if (registers === null) return values.size
    return Math.max(Math.round(estimateOf(registers)), this.#exactMax + 1)
  }
}
