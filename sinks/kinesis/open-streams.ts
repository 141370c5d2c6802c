import { PipelineError } from '../../src/errors.ts'
import type { KinesisApi, StreamFacts } from '../../src/kinesis/api.ts'
import type { Log } from '../../src/ports.ts'
import type { CreateStreams } from './stream-options.ts'

export interface OpenStreamsOptions {
  readonly api: KinesisApi
  readonly log: Log
  readonly createStreams: CreateStreams | null
}

/** The streams, in the order of their names. Throws STREAM_NOT_FOUND, KINESIS_FORBIDDEN. */
export async function openStreams(
  streams: readonly string[],
  { api, log, createStreams }: OpenStreamsOptions,
): Promise<readonly StreamFacts[]> {
  const found = await Promise.all(streams.map((stream) => describe(stream, api)))
  const missing = streams.filter((_, index) => found[index] === null)
  if (missing.length > 0 && createStreams === null) throw notFound(missing, api)
  for (const stream of missing) {
    await api.createStream(stream, createStreams!.shards)
    log.info({ stream, shards: createStreams!.shards }, 'created a stream')
  }
  return Promise.all(streams.map(async (stream, index) => found[index] ?? (await api.describeStream(stream))))
}

/** Null where there is none. */
async function describe(stream: string, api: KinesisApi): Promise<StreamFacts | null> {
  try {
    return await api.describeStream(stream)
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'STREAM_NOT_FOUND') return null
    throw error
  }
}

function notFound(streams: readonly string[], { description }: KinesisApi): PipelineError {
  const names = streams.join(', ')
  const what = streams.length === 1 ? `there is no stream ${names}` : `there are no streams ${names}`
  return new PipelineError('STREAM_NOT_FOUND', `${what} at ${description}`, {
    advice:
      'Check the region and the account; create it with the shards that it is to have, or let Millrace do so: createStreams: { shards }.',
  })
}
