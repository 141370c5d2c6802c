import { fieldsOf } from '../avro/fields.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import type { Field } from '../columns/column-type.ts'
import { assert } from '../errors.ts'
import type { AggregateNode, KeySpec, UniqueNode } from '../topology/node.ts'
import { type AccumulatorFields, resultFieldOf } from './accumulate/accumulator.ts'
import { resolveFieldPath } from './field-path.ts'
import type { KeyPlan, ResultPlan } from './plan.ts'

const INSTANT: Field['type'] = { kind: 'timestamp', unit: 'millis', local: false }

/** Resolves the fields of a window or of a dedupe over all partitions. */
export function compileResult(
  node: AggregateNode | UniqueNode,
  place: Pick<ResultPlan, 'stage' | 'input' | 'frame' | 'from' | 'rowFields'>,
): ResultPlan {
  const { rowFields } = place
  const keys = (node.kind === 'unique' ? node.by : node.keyBy).map((key) =>
    compileKey(key, rowFields, node.name),
  )
  const named = node.kind === 'unique' ? [] : node.aggregates
  const pathOf = (path: string | null) =>
    path === null ? null : resolveFieldPath(rowFields, path, node.name)
  const plan = {
    ...place,
    node,
    keys,
    keyFields: keys.map(({ field }) => field),
    inputs: named.map(({ spec }) => pathOf(spec.field)),
    bys: named.map(({ spec }) => pathOf('by' in spec ? spec.by : null)),
  }
  return { ...plan, resultFields: node.kind === 'unique' ? rowFields : aggregateFields(node, plan) }
}

/** What each accumulator of a result is made of. */
export function accumulatorFieldsOf(
  plan: Pick<ResultPlan, 'inputs' | 'bys' | 'rowFields'>,
  aggregate: number,
): AccumulatorFields {
  return {
    input: plan.inputs[aggregate]?.field ?? null,
    by: plan.bys[aggregate]?.field ?? null,
    row: plan.rowFields,
  }
}

/** What tells the results of a topic apart, so that a later revision replaces an earlier one. */
export function topicKeyFields(
  { node, keyFields, resultFields }: ResultPlan,
  topic: string,
): readonly Field[] {
  if (node.kind === 'unique') {
    const isColumn = (name: string) => resultFields.some((field) => field.name === name)
    assert(
      keyFields.every(({ name }) => isColumn(name)),
      `topic ${topic} was checked when it was made`,
    )
    return keyFields
  }
  const ofWindow = ['window_start', 'window_end', 'window_number']
  return resultFields.filter(({ name }, i) => i < keyFields.length || ofWindow.includes(name))
}

function compileKey(key: KeySpec, fields: readonly Field[], step: string): KeyPlan {
  if (typeof key === 'string') {
    const path = resolveFieldPath(fields, key, step)
    return { field: { ...path.field, name: path.path.replaceAll('.', '_') }, path, of: null }
  }
  const record = { type: 'record', name: 'Key', fields: [{ name: key.name, type: key.type }] }
  const field = fieldsOf(parseAvroSchema(record))[0]
  assert(field !== undefined, 'a record of one field has one')
  return { field, path: null, of: key.of as (row: object) => unknown }
}

function aggregateFields(
  node: AggregateNode,
  plan: Pick<ResultPlan, 'keyFields' | 'inputs' | 'bys' | 'rowFields'>,
): readonly Field[] {
  const { kind } = node.window
  // A global window has neither start nor end.
  const instant = { type: INSTANT, nullable: kind === 'global' }
  const number: Field = { name: 'window_number', type: { kind: 'int64' }, nullable: false }
  return [
    ...plan.keyFields,
    { name: 'window_start', ...instant },
    { name: 'window_end', ...instant },
    ...(kind === 'count' ? [number] : []),
    ...node.aggregates.map((named, i) => resultFieldOf(named, accumulatorFieldsOf(plan, i))),
    { name: 'revision', type: { kind: 'int32' }, nullable: false },
  ]
}
