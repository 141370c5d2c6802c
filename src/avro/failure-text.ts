import { AssertionError } from '../errors.ts'
import type { Site } from './decoder-source.ts'
import { SKIP_DEPTH_MAX } from './skip.ts'
import * as wire from './wire.ts'

/** Why a record failed, for people; `left` bytes of it were not read yet. The same bytes always give the same text. */
export function failureText(site: Site, code: number, left: number): string {
  if (code === wire.LEFT_OVER) return `${bytes(left)} left over after the last field`
  if (code === wire.NO_BODY) return 'the record ends before its body begins'
  return `field ${site.path}: ${reason(site, code, left)}`
}

function reason(site: Site, code: number, left: number): string {
  const { what } = site
  switch (code) {
    case wire.ENDS:
      return left === 0 ? `the record ends where ${what} should be` : shortage(site, left)
    case wire.TOO_LONG:
      return `${what} whose varint does not end`
    case wire.OUT_OF_RANGE:
      return `${what} out of range`
    case wire.NEGATIVE:
      return `${what} with a negative length`
    case wire.BEYOND_END:
      return `${what} goes on beyond the end of the record`
    case wire.NOT_UTF8:
      return `${what} that is not UTF-8`
    case wire.EMPTY:
      return `${what} of no bytes`
    case wire.TOO_PRECISE:
      return `${what} has more of them`
    case wire.NOT_BOOLEAN:
      return `${what} that is neither 0 nor 1`
    case wire.NO_SUCH_INDEX:
      return `${what} with an index that the writer's schema does not have`
    case wire.TOO_MANY_ITEMS:
      return `${what} with more items than the record has bytes for`
    case wire.TOO_MANY_WIDTHLESS:
      return `${what} with more than ${wire.WIDTHLESS_ITEMS_MAX} items that take no bytes`
    case wire.BLOCK_SIZE:
      return `${what} that is not as long as it says`
    case wire.TOO_DEEP:
      return `${what} is nested deeper than ${SKIP_DEPTH_MAX} levels`
    case wire.MISMATCH:
      return site.why
    default:
      throw new AssertionError(`the decoder failed with the unknown code ${code}`)
  }
}

function shortage(site: Site, left: number): string {
  const { what, needs } = site
  return needs === null
    ? `${bytes(left)} left where ${what} goes on`
    : `${bytes(left)} left where ${what} needs ${needs}`
}

function bytes(count: number): string {
  return count === 1 ? '1 byte' : `${count} bytes`
}
