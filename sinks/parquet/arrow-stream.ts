import type { Column } from '../../src/columns/column.ts'
import { ArrowBody, layoutCounts } from './arrow-body.ts'
import { END_OF_STREAM, recordBatchHeadBytes, writeRecordBatchHead } from './arrow-message.ts'
import type { RowChoice } from './row-choice.ts'
import { StreamBuffer } from './stream-buffer.ts'

/** How much memory is kept for the next stream. */
const KEPT_BYTES_MAX = 128 * 1024 * 1024

/**
 * Writes rows as an Arrow IPC stream: schema, one record batch. The columns have the Arrow layout
 * already, so most of it is copying. The stream that `write` returns is valid until the next call.
 */
export class ArrowStreamWriter {
  readonly #buffer = new StreamBuffer()

  write(schemaMessage: Uint8Array, columns: readonly Column[], rows: RowChoice): Uint8Array {
    const buffer = this.#buffer
    buffer.reset(KEPT_BYTES_MAX)
    buffer.appendBytes(schemaMessage)
    const { nodes, buffers } = layoutCounts(columns)
    const start = buffer.append(recordBatchHeadBytes(nodes, buffers))
    const body = new ArrowBody(buffer)
    for (const column of columns) body.writeColumn(column, rows)
    writeRecordBatchHead(buffer.bytes, start, body.layout(rows.count))
    buffer.appendBytes(END_OF_STREAM)
    return buffer.written()
  }
}
