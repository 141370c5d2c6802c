import { PipelineError, unreachable } from '../errors.ts'
import { failureOf, type KinesisFailure } from './failure.ts'

/** What a request was about, for the message. */
export interface FaultContext {
  /** The action of the API, which is that of IAM too: 'GetRecords'. */
  readonly operation: string
  readonly stream: string
  readonly shardId?: string
  readonly consumer?: string
  /** 'Kinesis in eu-west-1'. */
  readonly server: string
  /** Null where the SDK finds it. */
  readonly region: string | null
  /** Somebody has answered before: what is wrong now is an outage, not a mistake. */
  readonly hasAnswered: boolean
  /** There are other credentials to come: those that were good before rotate. */
  readonly canRenew: boolean
}

/** The PipelineError for anything that the SDK or a socket threw, with the codes of KinesisApi. A PipelineError is given back as it is. */
export function kinesisFault(error: unknown, context: FaultContext): PipelineError {
  if (error instanceof PipelineError) return error
  const failure = failureOf(error)
  const { code, why, advice, retryable } = explain(failure, context)
  return new PipelineError(code, `cannot ${whatOf(context)}: ${why}`, { retryable, advice, cause: error })
}

interface Explanation {
  readonly code: string
  readonly why: string
  readonly advice: string
  readonly retryable: boolean
}

function explain(failure: KinesisFailure, context: FaultContext): Explanation {
  const { server, hasAnswered, canRenew } = context
  const says = `${server} says ${reasonOf(failure)}`
  switch (failure.kind) {
    case 'throttled':
      return passing('KINESIS_THROTTLED', says, throttledAdvice(context))
    case 'iterator-expired':
      return passing('KINESIS_ITERATOR_EXPIRED', says, 'Nothing: another one is asked for.')
    case 'in-use':
      return passing(
        'KINESIS_IN_USE',
        says,
        'Nothing, unless it stays: then look whether another program uses the same consumer, or changes the stream.',
      )
    case 'not-found':
      return final('STREAM_NOT_FOUND', says, notFoundAdvice(context))
    case 'forbidden':
      return final(
        'KINESIS_FORBIDDEN',
        says,
        `Allow kinesis:${context.operation} on ${resourceOf(context)}; docs/kinesis.md has the whole policy.`,
      )
    case 'key-forbidden':
      return final(
        'KINESIS_FORBIDDEN',
        says,
        `Allow ${context.operation === 'PutRecords' ? 'kms:GenerateDataKey' : 'kms:Decrypt'} on the KMS key that encrypts stream ${context.stream}.`,
      )
    case 'key-service':
      return final(
        'KINESIS_REFUSED',
        says,
        `Look at the KMS key that encrypts stream ${context.stream}: it must exist and be enabled. Then start again: nothing is lost within the stream's retention.`,
      )
    case 'bad-credentials':
      return {
        ...final(
          'KINESIS_CREDENTIALS',
          `${server} does not accept the credentials (${reasonOf(failure)})`,
          'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile, or `credentials`; get new ones where they have expired (aws sso login).',
        ),
        retryable: canRenew || failure.isClockCorrected,
      }
    case 'no-credentials':
      return {
        ...final(
          'KINESIS_CREDENTIALS',
          `no credentials were found: ${failure.message}`,
          'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the process a role, or say kinesis({ credentials }). A stand-in takes any.',
        ),
        retryable: canRenew,
      }
    case 'clock':
      return passing(
        'KINESIS_UNAVAILABLE',
        `the clock of this machine differs from that of ${server} (${failure.code})`,
        'Set the clock (NTP): Kinesis allows 15 minutes.',
      )
    case 'no-region':
      return final(
        'REGION_MISSING',
        'no region is configured',
        'Name that of the stream: kinesis({ region }), AWS_REGION, or the region of the profile.',
      )
    case 'no-such-host':
      return {
        ...passing(
          'KINESIS_UNAVAILABLE',
          `${server} is not to be found (${reasonOf(failure)})`,
          'Correct the region, or the endpoint (AWS_ENDPOINT_URL_KINESIS).',
        ),
        retryable: hasAnswered,
      }
    case 'untrusted':
      return {
        ...passing(
          'KINESIS_UNAVAILABLE',
          `${server} cannot be trusted (${reasonOf(failure)})`,
          'Correct http or https in the endpoint; name the certificate of a private authority with NODE_EXTRA_CA_CERTS.',
        ),
        retryable: hasAnswered,
      }
    case 'network':
      return passing(
        'KINESIS_UNAVAILABLE',
        `${server} does not answer (${reasonOf(failure)})`,
        'Check the network, the region, and the endpoint (AWS_ENDPOINT_URL_KINESIS) where there is one.',
      )
    case 'timeout':
      return passing(
        'KINESIS_UNAVAILABLE',
        `${server} does not answer in time`,
        'Check the network; where it is only slow, say a longer requestTimeoutMs.',
      )
    case 'server':
      return passing(
        'KINESIS_UNAVAILABLE',
        says,
        'Nothing, unless it stays: then look at the state of the service.',
      )
    case 'strange':
      return {
        ...passing(
          'KINESIS_UNAVAILABLE',
          `the answer of ${server} cannot be read (${reasonOf(failure)})`,
          'Check the endpoint: what is there does not speak like Kinesis. It may be a proxy between.',
        ),
        retryable: hasAnswered,
      }
    case 'refused':
      return final('KINESIS_REFUSED', says, `The request was ${context.operation}.`)
    default:
      return unreachable(failure.kind)
  }
}

const WHAT: Readonly<Record<string, (context: FaultContext) => string>> = {
  DescribeStreamSummary: ({ stream }) => `look at stream ${stream}`,
  ListShards: ({ stream }) => `list the shards of stream ${stream}`,
  GetShardIterator: ({ stream, shardId }) => `find the place in ${shardId ?? 'a shard'} of stream ${stream}`,
  GetRecords: ({ stream, shardId }) => `read ${shardId ?? 'a shard'} of stream ${stream}`,
  PutRecords: ({ stream }) => `write to stream ${stream}`,
  CreateStream: ({ stream }) => `create stream ${stream}`,
  DescribeStreamConsumer: ({ stream, consumer }) => `look at consumer ${consumer ?? ''} of stream ${stream}`,
  RegisterStreamConsumer: ({ stream, consumer }) => `register consumer ${consumer ?? ''} at stream ${stream}`,
  DeregisterStreamConsumer: ({ stream, consumer }) =>
    `deregister consumer ${consumer ?? ''} of stream ${stream}`,
  SubscribeToShard: ({ stream, shardId }) => `subscribe to ${shardId ?? 'a shard'} of stream ${stream}`,
}

function whatOf(context: FaultContext): string {
  return WHAT[context.operation]?.(context) ?? `${context.operation} of stream ${context.stream}`
}

function resourceOf({ operation, stream, consumer, region }: FaultContext): string {
  const place = region === null ? '' : ` in ${region}`
  return operation === 'SubscribeToShard' || (operation.endsWith('StreamConsumer') && consumer !== undefined)
    ? `stream ${stream}${place} and on its consumer ${consumer ?? ''}`.trimEnd()
    : `stream ${stream}${place}`
}

function notFoundAdvice({ stream, region, shardId, consumer }: FaultContext): string {
  const account = region === null ? 'the region and the account' : `the region (${region}) and the account`
  if (shardId !== undefined)
    return `Check that stream ${stream} still exists. A closed shard goes when its last record has expired: start again, which says what is lost, if anything is.`
  if (consumer !== undefined)
    return `Check that stream ${stream} and its consumer ${consumer} exist, ${account}.`
  return `Create the stream, or correct its name, ${account}.`
}

function throttledAdvice({ operation, stream }: FaultContext): string {
  switch (operation) {
    case 'GetRecords':
    case 'GetShardIterator':
      return `All consumers of a shard share 5 reads and 2 MB a second. Read less often (fetch.readsPerSecondMax), or use enhanced fan-out (fanOut), or split the shards of ${stream}.`
    case 'PutRecords':
      return `A shard takes 1 MB and 1,000 records a second. Add shards to ${stream}, or set it to on-demand, or spread the partition keys.`
    case 'RegisterStreamConsumer':
      return 'A stream has 20 consumers at most, of which five are registered at once. Deregister those that nobody uses.'
    default:
      return 'Nothing, unless it stays: then look at who else uses this API in the account.'
  }
}

function reasonOf({ code, message }: KinesisFailure): string {
  return message === '' || message === code || message === 'UnknownError'
    ? code
    : code === '' || message.includes(code)
      ? message
      : `${code}: ${message}`
}

function final(code: string, why: string, advice: string): Explanation {
  return { code, why, advice, retryable: false }
}

function passing(code: string, why: string, advice: string): Explanation {
  return { code, why, advice, retryable: true }
}
