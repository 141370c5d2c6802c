/**
 * Three kinds of wrong. Bad input is a value (a dead letter). A bad world or a wrong option is a
 * PipelineError, which says what to do. A bad program is an AssertionError that stops the process
 * before it writes anything more.
 */

export interface PipelineErrorOptions {
  /** True where the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean
  /** What the user can do about it, as a sentence. Shown below the message. */
  readonly advice?: string
  readonly cause?: unknown
}

export class PipelineError extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly advice: string | undefined

  constructor(code: string, message: string, options: PipelineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'PipelineError'
    this.code = code
    this.retryable = options.retryable ?? false
    this.advice = options.advice
  }
}

export class AssertionError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'AssertionError'
  }
}

/** Stops a program that is wrong. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** Closes an exhaustive switch. */
export function unreachable(value: never): never {
  throw new AssertionError(`unexpected variant: ${JSON.stringify(value)}`)
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
