/** The public API. */
export { type Decimal, decimal } from './columns/decimal.ts'
export { PipelineError } from './errors.ts'
export type { AggregateColumn, Aggregators } from './topology/aggregate.ts'
export { type Duration, days, hours, millis, minutes, seconds } from './topology/duration.ts'
export type { PipelineSpec, TableNode, TopicNode, WatermarkSpec, WindowSpec } from './topology/node.ts'
export { type PipelineOptions, pipeline } from './topology/pipeline.ts'
export {
  atLeast,
  atMost,
  between,
  type ExpectRules,
  type FieldRule,
  lengthBetween,
  matches,
  notNull,
  type OneOfRule,
  oneOf,
  satisfies,
  type TestRule,
} from './topology/rule.ts'
export { type AvroSchema, avroSchema } from './topology/schema.ts'
export {
  type AggregateStream,
  type KeyedStream,
  type LateRows,
  type RowStream,
  type SourceStream,
  type StreamOptions,
  stream,
  type WindowedStream,
} from './topology/stream.ts'
export { bronze, day, gold, hour, month, silver, type TableOptions } from './topology/table.ts'
export { topic } from './topology/topic.ts'
export { boundedOutOfOrderness, type WatermarkOptions } from './topology/watermark.ts'
export { tumbling, type TumblingOptions, type WindowOptions } from './topology/window.ts'
export type { DeadLetterBinding, Lake, Log, OutboxBinding, SourceBinding } from './ports.ts'
export type { RunProgress, RunSummary, TableSummary } from './runtime/bindings.ts'
export { type RunOptions, run } from './runtime/run.ts'
