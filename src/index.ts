/** The public API. */
export { type Decimal, decimal } from './columns/decimal.ts'
export { PipelineError } from './errors.ts'
export type {
  AggregateColumn,
  Aggregators,
  CountDistinctOptions,
  CustomAggregate,
  MostFrequentOptions,
  QuantileOptions,
  SpreadOptions,
} from './topology/aggregate.ts'
export type { AvroTypeText } from './topology/avro-type.ts'
export { type Duration, days, hours, millis, minutes, seconds } from './topology/duration.ts'
export { type ComputedKey, computed } from './topology/key.ts'
export type {
  PipelineSpec,
  StateLimitsSpec,
  TableNode,
  TopicNode,
  WatermarkSpec,
  WindowSpec,
} from './topology/node.ts'
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
export type {
  AggregateStream,
  LateRows,
  ResultKeyedStream,
  ResultStream,
  WindowedStream,
} from './topology/result-stream.ts'
export {
  type DedupeOptions,
  type KeyedStream,
  type RowStream,
  type SourceStream,
  type StreamOptions,
  stream,
  type UniqueOptions,
  type UniqueStream,
} from './topology/stream.ts'
export {
  bronze,
  day,
  type GoldOptions,
  gold,
  hour,
  month,
  silver,
  type TableOptions,
} from './topology/table.ts'
export { topic } from './topology/topic.ts'
export {
  ascending,
  type BoundedWatermark,
  boundedOutOfOrderness,
  type CustomWatermark,
  customWatermark,
  type PunctuatedWatermark,
  punctuated,
  type WatermarkOptions,
} from './topology/watermark.ts'
export {
  type CalendarOptions,
  countWindow,
  type EarlyOptions,
  type FinalWindowOptions,
  type GlobalWindowOptions,
  globalWindow,
  type HoppingOptions,
  hopping,
  type ResultWindowOptions,
  type SessionOptions,
  session,
  sliding,
  type TumblingOptions,
  tumbling,
  type Weekday,
  type WeekOptions,
  type WindowOptions,
} from './topology/window.ts'
export type { DeadLetterBinding, Lake, Log, OutboxBinding, SourceBinding } from './ports.ts'
export type { RunProgress, RunSummary, TableSummary } from './runtime/bindings.ts'
export { type RunOptions, run } from './runtime/run.ts'
