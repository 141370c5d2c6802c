import { messageOf, PipelineError } from '../../src/errors.ts'

/** What waiting mends, as it looks to who reads a shard. */
export function unavailable(message: string): PipelineError {
  return new PipelineError('KINESIS_UNAVAILABLE', message, { retryable: true })
}

export function asFault(error: unknown): PipelineError {
  return error instanceof PipelineError
    ? error
    : new PipelineError('KINESIS_FAILED', `cannot read: ${messageOf(error)}`, { cause: error })
}
