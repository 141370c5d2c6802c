import type { Field } from '../../columns/column-type.ts'
import { assert } from '../../errors.ts'
import type { NamedAggregate } from '../../topology/node.ts'
import type { Accumulator, AccumulatorFields } from './accumulator.ts'

/** The accumulators whose panes hold more than a few numbers: sketches, collections and states of the user. */
export function createLargeAccumulator(
  aggregate: NamedAggregate,
  _resultField: Field,
  _fields: AccumulatorFields,
): Accumulator {
  assert(false, `aggregate ${aggregate.name}: no accumulator for ${aggregate.spec.kind}`)
}
