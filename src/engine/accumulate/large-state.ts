import type { Field } from '../../columns/column-type.ts'
import { AssertionError, assert, unreachable } from '../../errors.ts'
import type { NamedAggregate } from '../../topology/node.ts'
import type { Accumulator, AccumulatorFields } from './accumulator.ts'
import { CustomStates } from './custom-states.ts'
import { DistinctCount } from './distinct-count.ts'
import { FrequentValues } from './frequent-values.ts'
import { PaneStates } from './pane-states.ts'
import { Quantiles } from './quantiles.ts'
import { RankedRows } from './ranked-rows.ts'

/** The accumulators whose panes hold more than a few numbers: sketches, collections and states of the user. */
export function createLargeAccumulator(
  { name, spec }: NamedAggregate,
  resultField: Field,
  { input: inputField, by, row }: AccumulatorFields,
): Accumulator {
  if (spec.kind === 'custom') return new PaneStates(new CustomStates({ resultField, spec, row }))

  assert(inputField !== null, `aggregate ${name} has no input field`)
  const input = inputField.type
  switch (spec.kind) {
    case 'count-distinct':
      return new PaneStates(new DistinctCount({ resultField, input, exactMax: spec.exactMax }))
    case 'quantile':
      return new PaneStates(new Quantiles({ resultField, input, qs: [spec.q], accuracy: spec.accuracy }))
    case 'quantiles':
      return new PaneStates(new Quantiles({ resultField, input, qs: spec.qs, accuracy: spec.accuracy }))
    case 'top-k':
      assert(by !== null, `aggregate ${name} has no field to rank by`)
      return new PaneStates(new RankedRows({ resultField, input, by: by.type, max: spec.k }))
    case 'collect':
      return new PaneStates(new RankedRows({ resultField, input, by: null, max: spec.max }))
    case 'most-frequent': {
      const { k, distinctMax } = spec
      return new PaneStates(new FrequentValues({ resultField, input: inputField, k, distinctMax }))
    }
    case 'count':
    case 'count-if':
    case 'sum':
    case 'min':
    case 'max':
    case 'avg':
    case 'variance':
    case 'stddev':
    case 'first':
    case 'last':
    case 'min-by':
    case 'max-by':
      throw new AssertionError(`aggregate ${name}: the state of ${spec.kind} is small`)
    default:
      return unreachable(spec)
  }
}
