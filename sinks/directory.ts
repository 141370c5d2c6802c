import type { Lake } from '../src/ports.ts'
import { deltaFormat } from './delta/delta-format.ts'
import { directoryStore } from './directory-store.ts'
import { parquetDecoder } from './parquet/parquet-decoder.ts'
import { parquetEncoder } from './parquet/parquet-encoder.ts'

/** A lake in a local folder: Delta tables of Parquet, and the epoch chains beside them. It is made where it is missing. */
export function directory(path: string): Lake {
  const store = directoryStore(path)
  return { store, format: deltaFormat(store, parquetEncoder(), { decoder: parquetDecoder() }) }
}
