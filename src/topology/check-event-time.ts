import type { Field } from '../columns/column-type.ts'
import { checkDuration, checkFunction } from './check-option.ts'
import { anyTypeText, findField, isProblem } from './field-lookup.ts'
import type { SourceNode, WatermarkSpec } from './node.ts'
import { type Problem, problem, shown } from './problem.ts'
import { schemaFields } from './table-fields.ts'

/** The event time of a stream and its watermark: both or neither. */
export function checkEventTime(node: SourceNode, step: string): readonly Problem[] {
  const { eventTime, watermark } = node
  if (eventTime === null && watermark === null) return []
  if (eventTime === null || watermark === null) {
    return [
      problem(
        'INVALID_OPTION',
        step,
        eventTime === null ? 'has a watermark and no eventTime' : 'has an eventTime and no watermark',
        "Give both: { eventTime: 'at', watermark: boundedOutOfOrderness(seconds(30)) }.",
      ),
    ]
  }
  const fields = schemaFields(node.schema)
  const { idleAfterMs, futureLimitMs, alignWithinMs } = watermark
  return [
    ...checkInstant('eventTime', eventTime, fields, step),
    ...checkWatermark(watermark, fields, step),
    ...(idleAfterMs === null ? [] : checkDuration(idleAfterMs, step, 'idleAfter', 1)),
    ...checkDuration(futureLimitMs, step, 'futureLimit', 0),
    ...(alignWithinMs === undefined ? [] : checkDuration(alignWithinMs, step, 'alignWithin', 1)),
  ]
}

function checkWatermark(
  watermark: WatermarkSpec,
  fields: readonly Field[],
  step: string,
): readonly Problem[] {
  const { kind } = watermark
  switch (kind) {
    case 'bounded-out-of-orderness':
      return checkDuration(watermark.boundMs, step, 'the bound of the watermark', 0)
    case 'punctuated':
      return checkInstant('punctuated', watermark.field, fields, step)
    case 'custom':
      return checkFunction(watermark.watermarkOf, step, '(row, eventTimeMs) => watermarkMs or null')
    default:
      kind satisfies never
      return [
        problem(
          'INVALID_OPTION',
          step,
          `the watermark is ${shown(watermark)}`,
          'Make it with boundedOutOfOrderness, ascending, punctuated or customWatermark.',
        ),
      ]
  }
}

function checkInstant(
  option: string,
  name: string,
  fields: readonly Field[],
  step: string,
): readonly Problem[] {
  const candidates = fields
    .filter(({ type }) => type.kind === 'timestamp' && !type.local)
    .map((field) => field.name)
  const advice =
    candidates.length === 0
      ? 'The schema has none: give a field the logicalType timestamp-millis or timestamp-micros.'
      : `The timestamps are ${candidates.join(', ')}.`
  const field = findField(fields, name, step)
  if (isProblem(field)) return [{ ...field, advice }]
  if (candidates.includes(name)) return []
  return [
    problem('FIELD_TYPE', step, `${option} '${name}' is ${anyTypeText(field.type)}, not a timestamp`, advice),
  ]
}
