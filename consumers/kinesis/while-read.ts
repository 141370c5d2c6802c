/** What the promise gives, or null as soon as the signal aborts: nobody waits for an answer that nobody reads. */
export function whileRead<Value>(signal: AbortSignal, promise: Promise<Value>): Promise<Value | null> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(null)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
