import { PipelineError } from '../../src/errors.ts'
import type { DeadLetterBinding, OutboxBinding, SchemaRegistry } from '../../src/ports.ts'
import { KinesisOutbox } from './kinesis-outbox.ts'
import { letterContent } from './letter-content.ts'
import { RowContent } from './row-content.ts'
import { resolveStreamOptions, type StreamOptions } from './stream-options.ts'

export type { AwsCredentials, KinesisOptions } from '../../src/kinesis/options.ts'
export type { StreamLetter } from './letter-content.ts'
export type { CreateStreams, StreamOptions } from './stream-options.ts'

export interface KinesisStreamsOptions extends StreamOptions {
  /** Where the schemas of the streams are registered, as `<stream>-key` and `<stream>-value`. */
  readonly registry: SchemaRegistry
}

/**
 * The streams that a program names with `topic()`: each result at least once, in the order of its key, with an `_id` that stays the same when it is
 * sent again. Records are Avro in Confluent's frame, in the schema of the topic with the field `_id` behind all others.
 */
export function kinesisStreams(options: KinesisStreamsOptions): OutboxBinding {
  const { registry, ...kinesis } = options
  const resolved = resolveStreamOptions(options)
  return {
    open: (world) => new KinesisOutbox({ ...resolved, kinesis, world, content: new RowContent(registry) }),
  }
}

export interface DeadLetterStreamOptions extends StreamOptions {
  readonly stream: string
}

/**
 * A stream for dead letters, in place of the lake's table: each at least once, as one line of JSON with an `id` that stays the same when it is sent again.
 */
export function deadLetterStream(options: DeadLetterStreamOptions): DeadLetterBinding {
  const { stream, ...kinesis } = options
  if (typeof stream !== 'string' || !/^[A-Za-z0-9_.-]{1,128}$/.test(stream)) {
    throw new PipelineError('OPTION_INVALID', `deadLetterStream() has no stream: ${JSON.stringify(stream)}`, {
      advice: "As in deadLetterStream({ region, stream: 'trips.dead-letters' }).",
    })
  }
  const resolved = resolveStreamOptions(options)
  return {
    topic: stream,
    open: (world) => new KinesisOutbox({ ...resolved, kinesis, world, content: letterContent }),
  }
}
