import { assert, unreachable } from '../../src/errors.ts'
import type { ShardStart } from '../../src/kinesis/api.ts'

/** Where a reader of a shard goes on. */
export interface KinesisPosition {
  /** Of the stream: another one of its name was created at another moment. In milliseconds since 1970. */
  readonly createdMs: number
  readonly place: PositionPlace
  /** That the next record gets. */
  readonly offset: number
  /** All that arrived before this moment lies before the position. In milliseconds since 1970. */
  readonly asOfMs: number
}

export type PositionPlace =
  /** The oldest record that there is. */
  | { readonly kind: 'trim' }
  /** The first record that arrived then, or later. */
  | { readonly kind: 'time'; readonly timeMs: number }
  /** This record; where it is an aggregate, the record with this index in it. */
  | { readonly kind: 'at'; readonly sequenceNumber: string; readonly index?: number }
  /** The record behind this one; of an aggregate, behind all of it. */
  | { readonly kind: 'after'; readonly sequenceNumber: string }
  /** The shard has ended, and all of it was read. */
  | { readonly kind: 'end' }

const POSITION = /^(\d+):([^:]+):(\d+):(\d+)$/
const PLACE = /^(?:trim|end|time@(\d+)|after@(\d+)|at@(\d+)(?:\+(\d+))?)$/

/** `<created>:<place>:<offset>:<asOf>`, as it is in the records of a chain. */
export function encodeKinesisPosition({ createdMs, place, offset, asOfMs }: KinesisPosition): string {
  return `${createdMs}:${encodePlace(place)}:${offset}:${asOfMs}`
}

export function isKinesisPosition(text: string): boolean {
  return PLACE.test(POSITION.exec(text)?.[2] ?? '')
}

export function parseKinesisPosition(text: string): KinesisPosition {
  const match = POSITION.exec(text)
  assert(
    match !== null && isKinesisPosition(text),
    `${JSON.stringify(text)} is not a position in a Kinesis stream`,
  )
  const [, created, place, offset, asOf] = match
  return {
    createdMs: Number(created),
    place: parsePlace(place!),
    offset: Number(offset),
    asOfMs: Number(asOf),
  }
}

/** Nothing was read there yet: `asOfMs` is then when it was decided to begin with what there is, however old. */
export function isBeginning(place: PositionPlace): boolean {
  return place.kind === 'trim' || place.kind === 'time' || (place.kind === 'at' && place.index === undefined)
}

/** Where Kinesis is asked to begin. Null at the end: there is nothing to ask for. */
export function startOfPlace(place: PositionPlace): ShardStart | null {
  switch (place.kind) {
    case 'trim':
      return { kind: 'trim-horizon' }
    case 'time':
      return place
    case 'at':
    case 'after':
      return { kind: place.kind, sequenceNumber: place.sequenceNumber }
    case 'end':
      return null
    default:
      return unreachable(place)
  }
}

export function encodePlace(place: PositionPlace): string {
  switch (place.kind) {
    case 'trim':
    case 'end':
      return place.kind
    case 'time':
      return `time@${place.timeMs}`
    case 'at':
      return `at@${place.sequenceNumber}${place.index === undefined ? '' : `+${place.index}`}`
    case 'after':
      return `after@${place.sequenceNumber}`
    default:
      return unreachable(place)
  }
}

export function parsePlace(text: string): PositionPlace {
  const match = PLACE.exec(text)
  assert(match !== null, `${JSON.stringify(text)} is no place in a shard`)
  const [, time, after, at, index] = match
  if (time !== undefined) return { kind: 'time', timeMs: Number(time) }
  if (after !== undefined) return { kind: 'after', sequenceNumber: after }
  if (at === undefined) return { kind: text === 'trim' ? 'trim' : 'end' }
  return { kind: 'at', sequenceNumber: at, ...(index === undefined ? {} : { index: Number(index) }) }
}
