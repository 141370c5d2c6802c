import { PipelineError } from '../../src/errors.ts'
import { type KafkaClient, protocolErrorName, protocolFault } from '../../src/kafka/client.ts'
import { FETCH_API_KEY, fetchRequest } from '../../src/kafka/fetch.ts'
import { RecordCursor } from '../../src/kafka/record-cursor.ts'
import { RecordRows } from '../../src/kafka/record-rows.ts'
import type { Header } from '../../src/ports.ts'

export interface ScanContext {
  readonly client: KafkaClient
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}

/** What one answer may take of memory. */
const LIMITS = {
  maxWaitMs: 500,
  answerWithinMs: 30_000,
  minBytes: 1,
  maxBytes: 4 * 1024 * 1024,
  partitionBytes: 4 * 1024 * 1024,
}
const ROWS_MAX = 10_000

/**
 * Shows the headers of the records at [from, to) of a partition, as a reader with 'read_committed' sees them. Throws what the client throws:
 * whoever calls tries again from the beginning.
 */
export async function scanRange(
  context: ScanContext,
  from: number,
  to: number,
  look: (headers: readonly Header[]) => void,
): Promise<void> {
  const { client, topic, partition } = context
  const rows = new RecordRows()
  const leader = await leaderOf(context)
  const version = await client.maxVersion(leader, FETCH_API_KEY, 'fetch')
  for (let position = from; position < to; ) {
    const cursor = await fetchFrom(context, leader, version, position)
    while (!cursor.isDone) {
      cursor.read(rows, ROWS_MAX)
      for (let row = 0; row < rows.count && rows.offsets[row]! < to; row++) {
        const headers = rows.headers?.[row]
        if (headers) look(headers)
      }
    }
    if (cursor.nextOffset > position) position = cursor.nextOffset
    else throw stuck(`${topic}-${partition}`, position)
  }
}

async function leaderOf({ client, topic, partition }: ScanContext): Promise<number> {
  const { topics } = await client.metadata([topic])
  const leader = topics[0]?.partitions.find((one) => one.partition === partition)?.leader ?? -1
  if (leader >= 0) return leader
  throw new PipelineError('KAFKA_UNAVAILABLE', `${topic}-${partition} has no leader at the moment`, {
    retryable: true,
  })
}

async function fetchFrom(
  { client, topic, topicId, partition }: ScanContext,
  leader: number,
  version: number,
  offset: number,
): Promise<RecordCursor> {
  const where = `${topic}-${partition}`
  const context = { what: `read ${where}`, topic }
  const request = fetchRequest([{ topic, topicId, partition, offset }], LIMITS, 'read_committed', '', version)
  const { errorCode, partitions } = await client.send(leader, request, context, 'fetch')
  const fetched = partitions[0]
  const code = errorCode === 0 ? (fetched?.errorCode ?? -1) : errorCode
  // Retention has moved on: what was there cannot be found any more.
  if (protocolErrorName(code) === 'OFFSET_OUT_OF_RANGE')
    return nothingBefore(fetched!.logStartOffset, where, offset)
  if (code !== 0) throw protocolFault(code, context)
  return new RecordCursor({
    // A plain Uint8Array: the parser is made for those.
    bytes: new Uint8Array(fetched!.records ?? []),
    fetchOffset: offset,
    isolation: 'read_committed',
    aborted: fetched!.aborted,
    arrivalMs: 0,
    where,
  })
}

/** A cursor without records that goes on where the log begins. */
function nothingBefore(logStart: number, where: string, offset: number): RecordCursor {
  if (logStart <= offset) throw stuck(where, offset)
  return new RecordCursor({
    bytes: new Uint8Array(0),
    fetchOffset: logStart,
    isolation: 'read_committed',
    aborted: [],
    arrivalMs: 0,
    where,
  })
}

function stuck(where: string, offset: number): PipelineError {
  return new PipelineError('KAFKA_UNAVAILABLE', `${where} gives nothing at offset ${offset} at the moment`, {
    retryable: true,
  })
}
