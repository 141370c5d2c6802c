import {
  isKinesisPosition,
  parseKinesisPosition,
  type PositionPlace,
} from '../../consumers/kinesis/position.ts'
import { unreachable } from '../errors.ts'
import { countText, timeText } from './format.ts'

/** Where a task goes on, for a table. Positions in shards are long; others are short as they are. */
export function shortPosition(position: string): string {
  if (!isKinesisPosition(position)) return position
  const { place, offset } = parseKinesisPosition(position)
  return `${countText(offset)}, ${placeText(place, (sequenceNumber) => `…${sequenceNumber.slice(-8)}`)}`
}

/** The same whole, and explained. */
export function longPosition(position: string): string {
  if (!isKinesisPosition(position)) return `position ${position}`
  const { place, offset, asOfMs, createdMs } = parseKinesisPosition(position)
  const where = placeText(place, (sequenceNumber) => sequenceNumber)
  return `${where}, as record ${countText(offset)} of the shard's line; nothing is missed that arrived before ${timeText(asOfMs)}; the stream is the one of ${timeText(createdMs)}`
}

function placeText(place: PositionPlace, write: (sequenceNumber: string) => string): string {
  switch (place.kind) {
    case 'trim':
      return 'the oldest record'
    case 'time':
      return `what arrived from ${timeText(place.timeMs)} on`
    case 'at':
      return `at ${write(place.sequenceNumber)}${place.index === undefined ? '' : `, ${place.index} records in`}`
    case 'after':
      return `after ${write(place.sequenceNumber)}`
    case 'end':
      return 'the end of the shard'
    default:
      return unreachable(place)
  }
}
