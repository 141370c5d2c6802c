import { PipelineError } from '../../src/errors.ts'
import type { FaultContext } from '../../src/kafka/client.ts'
import type { PartitionError } from '../../src/kafka/transaction-requests.ts'
import { transactionFault, type Verdict, verdictOf } from './transaction-verdict.ts'

/** What a broker has answered to a step of a transaction. */
export interface Answer {
  readonly code: number
  readonly context: FaultContext
}

export type Attempt =
  | { readonly verdict: 'done' }
  | {
      readonly verdict: Exclude<Verdict, 'done'>
      readonly error: PipelineError
      /** False where the request may have been carried out all the same. */
      readonly isAnswer: boolean
    }

/** Takes a step once. Throws only what is no PipelineError. */
export async function attempt(step: () => Promise<Answer>): Promise<Attempt> {
  try {
    const { code, context } = await step()
    const verdict = verdictOf(code)
    return verdict === 'done'
      ? { verdict }
      : { verdict, error: transactionFault(code, context), isAnswer: true }
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    return { verdict: error.retryable ? 'again' : 'fatal', error, isAnswer: false }
  }
}

const ORDER: readonly Verdict[] = ['fatal', 'fenced', 'in-doubt', 'again', 'done']

/** The partition that speaks for all: what is fatal comes before what passes. */
export function worstOf(errors: readonly PartitionError[]): PartitionError | null {
  const rank = ({ errorCode }: PartitionError): number => ORDER.indexOf(verdictOf(errorCode))
  return errors.toSorted((a, b) => rank(a) - rank(b))[0] ?? null
}
