import type { RecordingBlock, RecordingFile } from './container.ts'
import { invalidRecording } from './recording-error.ts'
import { type RawRecord, RawRecordCursor } from './raw-record.ts'
import { framedSchema, type RecordingSummary, SummaryBuilder } from './recording-summary.ts'

/** Visits the records in the order of the file until `visit` returns false. The cursor is valid during the call. */
export async function visitRecords(
  file: RecordingFile,
  visit: (record: RawRecordCursor, body: Uint8Array) => boolean,
): Promise<void> {
  const blocks = file.blocksFrom(file.header.bytes)
  for (let block = await blocks.next(); block !== null; block = await blocks.next()) {
    if (!visitBlock(file, block, visit)) return
  }
}

/** The records of one block after the other, in the order of the file, as copies. Throws where the file is cut or broken, after what is whole. */
export async function* recordsByBlock(file: RecordingFile): AsyncGenerator<readonly RawRecord[]> {
  const blocks = file.blocksFrom(file.header.bytes)
  for (let block = await blocks.next(); block !== null; block = await blocks.next()) {
    const records: RawRecord[] = []
    try {
      visitBlock(file, block, (record) => records.push(record.record()) > 0)
    } catch (error) {
      yield records
      throw error
    }
    yield records
  }
}

/** Counts what the file holds, as far as it can be read; `error` is what stopped it. */
export async function summariseReadable(
  file: RecordingFile,
): Promise<{ readonly summary: RecordingSummary; readonly error: unknown }> {
  const builder = new SummaryBuilder()
  let failure: unknown = null
  try {
    await visitRecords(file, (record, body) => {
      addTo(builder, record, body)
      return true
    })
  } catch (error) {
    failure = error
  }
  return { summary: builder.summary(file.size), error: failure }
}

function addTo(builder: SummaryBuilder, record: RawRecordCursor, body: Uint8Array): void {
  const value = record.valueEnd < 0 ? null : body.subarray(record.valueStart, record.valueEnd)
  builder.add(record.topic(), record.partition, record.offset, record.arrivalMs, framedSchema(value))
}

function visitBlock(
  file: RecordingFile,
  block: RecordingBlock,
  visit: (record: RawRecordCursor, body: Uint8Array) => boolean,
): boolean {
  const { body, count, start } = block
  const cursor = new RawRecordCursor(body, 0, body.length)
  for (let index = 0; index < count; index += 1) {
    const wrong = cursor.next()
    if (wrong !== null) {
      throw invalidRecording(
        file.path,
        `record ${index + 1} of ${count} in the block at byte ${start}: ${wrong}`,
      )
    }
    if (!visit(cursor, body)) return false
  }
  return true
}
