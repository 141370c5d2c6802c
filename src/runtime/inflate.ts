import { inflateSync } from 'node:zlib'
import { messageOf } from '../errors.ts'

/** Of one body, taken apart: a few kilobytes may say gigabytes. */
export const INFLATED_BYTES_MAX = 64 * 1024 * 1024

/** A body in zlib's format as its bytes, or why they cannot be had. */
export function inflate(body: Uint8Array): Uint8Array | string {
  try {
    // With `info` it says how much it has read. The types do not know that.
    const options = { maxOutputLength: INFLATED_BYTES_MAX, info: true }
    const { buffer, engine } = inflateSync(body, options) as unknown as Inflated
    const rest = body.length - engine.bytesWritten
    return rest === 0 ? buffer : `${rest} bytes follow the end of the compressed body`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      ? `the compressed body comes to more than ${INFLATED_BYTES_MAX} bytes`
      : `the compressed body is damaged: ${messageOf(error)}`
  }
}

interface Inflated {
  readonly buffer: Uint8Array
  readonly engine: { readonly bytesWritten: number }
}
