import { EARLIEST, type IsolationLevel, type KafkaClient, LATEST } from '../../src/kafka/client.ts'
import type { SourcePartition, SourceWorld } from '../../src/ports.ts'
import { positionBeyondEnd, positionExpired } from './source-error.ts'

/** Where a new pipeline begins. */
export type StartFrom = 'earliest' | 'latest' | Date

/** The offset at which a partition without a position begins. */
export async function startOffset(
  client: Pick<KafkaClient, 'listOffsets'>,
  { topic, partition }: SourcePartition,
  from: StartFrom,
  isolation: IsolationLevel,
): Promise<number> {
  const at = async (timestampMs: number): Promise<number> => {
    const [listed] = await client.listOffsets([{ topic, partition, timestampMs }], isolation)
    return listed!.offset
  }
  if (from === 'earliest') return at(EARLIEST)
  if (from === 'latest') return at(LATEST)
  const offset = await at(from.getTime())
  // No record is as young as that: the next one will be.
  return offset < 0 ? at(LATEST) : offset
}

const END_LOOKS = 4
const END_PAUSE_MS = 500

/**
 * The offset itself where the partition still has it. Throws POSITION_EXPIRED, unless the loss is accepted: then it says so in the log, and goes on with
 * what is left. Throws POSITION_BEYOND_END.
 */
export async function checkOffset(
  client: Pick<KafkaClient, 'listOffsets'>,
  source: SourcePartition,
  offset: number,
  { clock, log, acceptLoss }: SourceWorld,
): Promise<number> {
  const { id, topic, partition } = source
  let firstOffset: number
  for (let look = 1; ; look++) {
    const [[first], [end]] = await Promise.all([
      client.listOffsets([{ topic, partition, timestampMs: EARLIEST }]),
      client.listOffsets([{ topic, partition, timestampMs: LATEST }]),
    ])
    firstOffset = first!.offset
    const endOffset = end!.offset
    if (offset <= endOffset) break
    // A leader that has just begun may not know yet how far it goes.
    if (look === END_LOOKS) throw positionBeyondEnd(id, offset, endOffset)
    await clock.sleep(END_PAUSE_MS)
  }
  if (offset >= firstOffset) return offset
  if (!acceptLoss) throw positionExpired(id, offset, firstOffset)
  log.warn(
    { partition: id, offset, firstOffset, lost: firstOffset - offset },
    'retention has deleted records that were not read: they are lost, as accepted',
  )
  return firstOffset
}
