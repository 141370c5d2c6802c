/** The part of parquetjs-lite that the tests and benches use; it comes without types. */
declare module 'parquetjs-lite' {
  import type { Writable } from 'node:stream'

  export class ParquetReader {
    static openFile(path: string): Promise<ParquetReader>
    getCursor(): { next(): Promise<unknown> }
    close(): Promise<void>
  }

  export class ParquetSchema {
    readonly fields: object
    constructor(fields: object)
  }

  export class ParquetWriter {
    static openStream(schema: ParquetSchema, stream: Writable): Promise<ParquetWriter>
    appendRow(row: object): Promise<void>
    close(): Promise<void>
  }

  const parquet: {
    readonly ParquetReader: typeof ParquetReader
    readonly ParquetSchema: typeof ParquetSchema
    readonly ParquetWriter: typeof ParquetWriter
  }
  export default parquet
}
