import { PipelineError } from '../../src/errors.ts'
import {
  type FaultContext,
  isRetryableCode,
  protocolErrorName,
  protocolFault,
} from '../../src/kafka/client.ts'

/**
 * What an error code of a transaction's request says of the transaction.
 *
 * - again: the same request may succeed in a moment;
 * - fenced: the producer has been replaced, by another owner of the transactional id or, when the transaction has run out of time, by the
 *   coordinator itself;
 * - in-doubt: the coordinator or a leader has forgotten the producer, or sees the transaction otherwise than we do: nothing more may be
 *   sent under this identity;
 * - fatal: waiting and claiming again do not mend it.
 */
export type Verdict = 'done' | 'again' | 'fenced' | 'in-doubt' | 'fatal'

const DUPLICATE_SEQUENCE = 46

/** Those pass, although Kafka's list does not call them retriable. */
const AGAIN = new Set([
  2, // CORRUPT_MESSAGE: bytes that were damaged on the way
  52, // TRANSACTION_COORDINATOR_FENCED: a coordinator that has just been replaced
  55, // OPERATION_NOT_ATTEMPTED: another partition of the request failed
])

const FENCED = new Set([
  47, // INVALID_PRODUCER_EPOCH
  90, // PRODUCER_FENCED
])

const IN_DOUBT = new Set([
  -1, // UNKNOWN_SERVER_ERROR
  45, // OUT_OF_ORDER_SEQUENCE_NUMBER
  48, // INVALID_TXN_STATE
  49, // INVALID_PRODUCER_ID_MAPPING: the transactional id has expired
  59, // UNKNOWN_PRODUCER_ID
  120, // TRANSACTION_ABORTABLE
])

export function verdictOf(code: number): Verdict {
  // A batch that is sent again because its answer was lost is there already.
  if (code === 0 || code === DUPLICATE_SEQUENCE) return 'done'
  if (FENCED.has(code)) return 'fenced'
  if (IN_DOUBT.has(code)) return 'in-doubt'
  return AGAIN.has(code) || isRetryableCode(code) ? 'again' : 'fatal'
}

export function fenced(cause: PipelineError): PipelineError {
  return new PipelineError('OUTBOX_FENCED', cause.message, {
    cause,
    advice: 'Another process owns the task now. Nothing of this epoch was published here.',
  })
}

export function inDoubt(what: string, why: string, cause?: unknown): PipelineError {
  return new PipelineError('OUTBOX_IN_DOUBT', `cannot ${what}: ${why}`, { cause })
}

/** The error for a code. Fatal is what changed since the start: rights that were taken away, a limit that was lowered, a topic that was deleted. */
export function transactionFault(code: number, context: FaultContext, detail?: string | null): PipelineError {
  switch (protocolErrorName(code)) {
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return new PipelineError(
        'MESSAGE_TOO_LARGE',
        `cannot ${context.what}: the topic ${context.topic ?? ''} takes less than it did when the pipeline started`,
        { advice: 'Raise max.message.bytes of the topic again, and start again: nothing is lost.' },
      )
    case 'INVALID_RECORD':
      return new PipelineError('MESSAGE_REFUSED', `cannot ${context.what}: ${detail ?? 'INVALID_RECORD'}`, {
        advice:
          'A compacted topic takes no record without a key. Set cleanup.policy=delete, and start again.',
      })
    default:
      return protocolFault(code, context, detail)
  }
}
