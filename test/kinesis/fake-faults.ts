import { PipelineError } from '../../src/errors.ts'

/** One call that somebody makes to a fake Kinesis. */
export interface FakeCall {
  readonly operation:
    | 'describeStream'
    | 'listShards'
    | 'shardIterator'
    | 'getRecords'
    | 'putRecords'
    | 'registerConsumer'
    | 'deregisterConsumer'
    | 'subscribe'
    | 'createStream'
  readonly stream: string
  /** '' where the call is not about one. */
  readonly shardId: string
  readonly atMs: number
}

/** What goes wrong with one call. */
export type FakeFault =
  /** Nothing happens but this. */
  | { readonly kind: 'throw'; readonly error: PipelineError }
  /** It is done, and the answer is lost. */
  | { readonly kind: 'lost-answer' }
  /** Never answered. */
  | { readonly kind: 'hang' }
  /** Of putRecords: those for which `isRefused` says so are refused, the others are stored. */
  | { readonly kind: 'partial'; readonly isRefused: (index: number) => boolean; readonly code?: string }
  /** Of subscribe: after so many events it breaks. */
  | { readonly kind: 'break'; readonly afterEvents: number; readonly error: PipelineError }

const passing = (code: string, message: string): PipelineError =>
  new PipelineError(code, message, { retryable: true })

export const throttled = (): PipelineError =>
  passing('KINESIS_THROTTLED', 'ProvisionedThroughputExceededException: rate exceeded')
export const iteratorExpired = (): PipelineError =>
  passing('KINESIS_ITERATOR_EXPIRED', 'ExpiredIteratorException: iterator expired')
export const inUse = (): PipelineError => passing('KINESIS_IN_USE', 'ResourceInUseException: in use')
export const unavailable = (): PipelineError => passing('KINESIS_UNAVAILABLE', 'ECONNRESET: connection lost')
export const credentialsExpired = (): PipelineError =>
  passing('KINESIS_CREDENTIALS', 'ExpiredTokenException: the token has expired')
export const notFound = (what: string): PipelineError =>
  new PipelineError('STREAM_NOT_FOUND', `ResourceNotFoundException: ${what} not found`)
export const refused = (message: string): PipelineError =>
  new PipelineError('KINESIS_REFUSED', `InvalidArgumentException: ${message}`)
