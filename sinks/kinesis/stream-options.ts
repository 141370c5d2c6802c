import { PipelineError } from '../../src/errors.ts'
import type { KinesisOptions } from '../../src/kinesis/options.ts'

/** What streams of results and of dead letters have in common. */
export interface StreamOptions extends KinesisOptions {
  /** Streams that are not there are created. Without it they are an error: who pays for shards decides how many. */
  readonly createStreams?: CreateStreams
}

export interface CreateStreams {
  readonly shards: number
}

export interface ResolvedStreamOptions {
  readonly createStreams: CreateStreams | null
}

/** Throws OPTION_INVALID. */
export function resolveStreamOptions({ createStreams }: StreamOptions): ResolvedStreamOptions {
  if (createStreams === undefined) return { createStreams: null }
  const { shards } = createStreams
  if (!Number.isSafeInteger(shards) || shards < 1) {
    throw new PipelineError('OPTION_INVALID', `createStreams has shards: ${JSON.stringify(shards)}`, {
      advice: 'As in createStreams: { shards: 1 }: each takes 1,000 records and 1 MB a second.',
    })
  }
  return { createStreams: { shards } }
}
