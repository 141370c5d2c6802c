/** The part of parquetjs-lite that the tests use; it comes without types. */
declare module 'parquetjs-lite' {
  export class ParquetReader {
    static openFile(path: string): Promise<ParquetReader>
    getCursor(): { next(): Promise<unknown> }
    close(): Promise<void>
  }
}
