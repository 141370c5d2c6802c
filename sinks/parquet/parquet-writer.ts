import {
  Compression,
  EnabledStatistics,
  Table,
  WriterPropertiesBuilder,
  WriterVersion,
  readParquet,
  writeParquet,
} from 'parquet-wasm'
import type { WriterProperties } from 'parquet-wasm'
import { messageOf, PipelineError } from '../../src/errors.ts'

export interface ParquetOptions {
  readonly compression: 'snappy' | 'zstd' | 'none'
  readonly rowGroupRows: number
  /** Top-level columns that get a dictionary. */
  readonly dictionary: readonly string[]
  readonly statistics: StatisticsColumns
}

/** Only top-level columns can be named; nested ones have statistics where most have. */
export interface StatisticsColumns {
  readonly most: boolean
  /** Those that differ from most. */
  readonly except: readonly string[]
}

const COMPRESSION = {
  snappy: Compression.SNAPPY,
  zstd: Compression.ZSTD,
  none: Compression.UNCOMPRESSED,
} as const

/** A Parquet file of the rows of an Arrow IPC stream. */
export function writeParquetFile(stream: Uint8Array, options: ParquetOptions): Uint8Array {
  const properties = writerProperties(options)
  try {
    // writeParquet takes both objects over; until then they would stay in the WASM memory.
    return writeParquet(tableOf(stream, properties), properties)
  } catch (error) {
    throw new PipelineError('PARQUET_FAILED', `Cannot encode a Parquet file: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** The rows of a Parquet file as an Arrow IPC stream: the way back, in the file of the package that does both. Throws PARQUET_FAILED. */
export function readParquetFile(body: Uint8Array): Uint8Array {
  try {
    return readParquet(body, { batchSize: READ_BATCH_ROWS }).intoIPCStream()
  } catch (error) {
    throw new PipelineError('PARQUET_FAILED', `Cannot read a Parquet file: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Of a batch of the stream: fewer than the package's own 1,024 would cost more than their rows. */
const READ_BATCH_ROWS = 65_536

function tableOf(stream: Uint8Array, properties: WriterProperties): Table {
  try {
    return Table.fromIPCStream(stream)
  } catch (error) {
    properties.free()
    throw error
  }
}

function writerProperties(options: ParquetOptions): WriterProperties {
  const { statistics } = options
  let properties = new WriterPropertiesBuilder()
    .setWriterVersion(WriterVersion.V1)
    .setCompression(COMPRESSION[options.compression])
    .setMaxRowGroupSize(options.rowGroupRows)
    .setStatisticsEnabled(statisticsLevel(statistics.most))
    .setDictionaryEnabled(false)
  for (const name of options.dictionary) properties = properties.setColumnDictionaryEnabled(name, true)
  for (const name of statistics.except) {
    properties = properties.setColumnStatisticsEnabled(name, statisticsLevel(!statistics.most))
  }
  return properties.build()
}

function statisticsLevel(enabled: boolean): EnabledStatistics {
  return enabled ? EnabledStatistics.Chunk : EnabledStatistics.None
}
