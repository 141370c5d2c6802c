import { messageOf, PipelineError } from '../errors.ts'
import { isRetryableCode, protocolErrorName } from './protocol-error.ts'

/** What a request was about, for the message. */
export interface FaultContext {
  /** 'read trips-3', 'find the coordinator of group taxi'. */
  readonly what: string
  readonly topic?: string
  readonly groupId?: string
  readonly transactionalId?: string
}

/** The PipelineError for an error code in an answer. `detail`: what the broker said beside it. */
export function protocolFault(code: number, context: FaultContext, detail?: string | null): PipelineError {
  return faultByName(protocolErrorName(code), isRetryableCode(code), context, detail ?? null, undefined)
}

/** The PipelineError for anything that kafkajs, a socket or our own code threw. A PipelineError is given back as it is. */
export function kafkaFault(error: unknown, context: FaultContext): PipelineError {
  if (error instanceof PipelineError) return error
  const { name, message, type, retriable, cause, code } = shapeOf(error)
  // kafkajs wraps the last error of its own retries, and what it would not retry.
  const isWrapper =
    name === 'KafkaJSNumberOfRetriesExceeded' || (name === 'KafkaJSNonRetriableError' && type === null)
  if (isWrapper && cause !== undefined) return kafkaFault(cause, context)
  if (name === 'KafkaJSSASLAuthenticationError' && !CONNECTION_TROUBLE.test(message)) {
    return authenticationFault(message, context, error)
  }
  if (type !== null) return faultByName(type, retriable, context, message, error)
  if (isCertificateTrouble(message, code)) {
    return new PipelineError('KAFKA_TLS', `cannot ${context.what}: ${message}`, {
      cause: error,
      advice:
        'TLS with the broker fails. Check tls.ca (who signed the broker’s certificate), tls.servername (its name), tls.cert and tls.key (yours).',
    })
  }
  const isTransport = CONNECTION_NAMES.has(name) || CONNECTION_TROUBLE.test(message) || code !== null
  if (isTransport || retriable) {
    return new PipelineError('KAFKA_UNREACHABLE', `cannot ${context.what}: ${message}`, {
      cause: error,
      retryable: true,
      advice: UNREACHABLE_ADVICE,
    })
  }
  return new PipelineError('KAFKA_FAILED', `cannot ${context.what}: ${messageOf(error)}`, { cause: error })
}

export const UNREACHABLE_ADVICE =
  'Check that the brokers run, that this machine reaches the addresses they advertise (advertised.listeners), and that the listener wants what `tls` and `sasl` say: a listener that wants something else closes the connection.'

const CONNECTION_NAMES = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSLockTimeout',
  'KafkaJSTimeout',
  'KafkaJSNoBrokerAvailableError',
  'KafkaJSGroupCoordinatorNotFound',
])

/** Also inside a KafkaJSSASLAuthenticationError: kafkajs calls a connection that was lost meanwhile a wrong password. */
const CONNECTION_TROUBLE =
  /closed connection|connection closed|connection error|connection timeout|not connected|timed out|ECONNRE|EPIPE/i

function isCertificateTrouble(message: string, code: string | null): boolean {
  return (
    /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO)/.test(code ?? '') ||
    /certificate|self-signed|altnames|wrong version number|SSL routines/i.test(message)
  )
}

function authenticationFault(message: string, context: FaultContext, cause: unknown): PipelineError {
  return new PipelineError('KAFKA_AUTHENTICATION', `cannot ${context.what}: ${message}`, {
    cause,
    advice:
      'The broker does not accept these credentials. Check sasl.mechanism, user name and password, or the token.',
  })
}

function faultByName(
  type: string,
  retryable: boolean,
  context: FaultContext,
  detail: string | null,
  cause: unknown,
): PipelineError {
  const { what, topic, groupId, transactionalId } = context
  const message = `cannot ${what}: the broker says ${type}${detail === null || detail === '' ? '' : ` (${detail})`}`
  switch (type) {
    case 'SASL_AUTHENTICATION_FAILED':
    case 'UNSUPPORTED_SASL_MECHANISM':
    case 'ILLEGAL_SASL_STATE':
      return authenticationFault(detail ?? type, context, cause)
    case 'TOPIC_AUTHORIZATION_FAILED':
      return forbidden(message, `the topic ${topic ?? ''}`, cause)
    case 'GROUP_AUTHORIZATION_FAILED':
      return forbidden(message, `the consumer group ${groupId ?? ''}`, cause)
    case 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED':
      return forbidden(message, `the transactional id ${transactionalId ?? ''}`, cause)
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return forbidden(message, 'the cluster', cause)
    case 'INVALID_TOPIC_EXCEPTION':
      return new PipelineError('TOPIC_NOT_FOUND', message, {
        cause,
        advice: 'A topic has letters, digits, dots, underscores and hyphens in its name, 249 at most.',
      })
    case 'UNSUPPORTED_VERSION':
      return new PipelineError('KAFKA_TOO_OLD', message, {
        cause,
        advice: 'Millrace speaks with Kafka 2.8 and later.',
      })
    default:
      return new PipelineError(retryable ? 'KAFKA_UNAVAILABLE' : 'KAFKA_FAILED', message, {
        cause,
        retryable,
      })
  }
}

function forbidden(message: string, resource: string, cause: unknown): PipelineError {
  return new PipelineError('KAFKA_AUTHORIZATION', message, {
    cause,
    advice: `Whoever the brokers take this program for may not use ${resource.trim()}. Ask for an ACL (docs/kafka.md lists what is needed).`,
  })
}

interface ErrorShape {
  readonly name: string
  readonly message: string
  /** The protocol's name of an error code. */
  readonly type: string | null
  readonly retriable: boolean
  readonly cause: unknown
  /** Of a socket or of TLS. */
  readonly code: string | null
}

function shapeOf(error: unknown): ErrorShape {
  const shape = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>
  return {
    name: typeof shape['name'] === 'string' ? shape['name'] : '',
    message: messageOf(error),
    type: typeof shape['type'] === 'string' ? shape['type'] : null,
    retriable: shape['retriable'] === true,
    cause: shape['cause'],
    code: typeof shape['code'] === 'string' ? shape['code'] : null,
  }
}
