import { unreachable } from '../errors.ts'
import { AGGREGATE_CALLS } from './check-aggregate.ts'
import type { AggregateSpec, NamedAggregate } from './node.ts'
import { countText, percentText } from './number-text.ts'
import { shown } from './problem.ts'

/** An aggregate for people: 'p99 = quantile(fare, 0.99), within 1 % of the value'. */
export function describeAggregate({ name, spec }: NamedAggregate): string {
  return `${name} = ${describeCall(spec)}`
}

/** Standard error of an estimate of 2^14 registers: 1.04 / √16384 (Flajolet et al., "HyperLogLog", 2007). */
const HYPERLOGLOG_ERROR = 0.0081

function describeCall(spec: AggregateSpec): string {
  const call = AGGREGATE_CALLS[spec.kind]
  const field = spec.field ?? ''
  switch (spec.kind) {
    case 'count':
    case 'sum':
    case 'min':
    case 'max':
    case 'avg':
    case 'first':
    case 'last':
      return `${call}(${field})`
    case 'count-if':
      return `${call}(a test of its own)`
    case 'variance':
    case 'stddev':
      return `${call}(${field})${spec.of === 'population' ? ' of the population' : ''}`
    case 'min-by':
    case 'max-by':
      return `${call}(${field}, ${spec.by})`
    case 'count-distinct':
      return `${call}(${field}), exact up to ${countText(spec.exactMax, 'value')}, beyond by HyperLogLog with a standard error of ${percentText(HYPERLOGLOG_ERROR)}`
    case 'quantile':
      return `${call}(${field}, ${spec.q}), within ${percentText(spec.accuracy)} of the value`
    case 'quantiles':
      return `${call}(${field}, ${spec.qs.join(', ')}), each within ${percentText(spec.accuracy)} of the value`
    case 'top-k':
      return `${call}(${field}), of the ${countText(spec.k, 'row')} with the greatest ${spec.by}`
    case 'most-frequent':
      return `${call}(${field}), ${countText(spec.k, 'value')}; more than ${countText(spec.distinctMax, 'value')} in a window stop the pipeline`
    case 'collect':
      return `${call}(${field}), of the first ${countText(spec.max, 'row')}`
    case 'custom':
      return `${call}() of its own, ${shown(spec.type)}`
    default:
      return unreachable(spec)
  }
}
