import type { Lake } from '../../src/ports.ts'
import { deltaFormat } from '../delta/delta-format.ts'
import { parquetDecoder } from '../parquet/parquet-decoder.ts'
import { parquetEncoder } from '../parquet/parquet-encoder.ts'
import type { S3Options } from './s3-options.ts'
import { s3Store } from './s3-store.ts'

export type { S3Credentials, S3Options, S3RequestKind, S3StorageClass } from './s3-options.ts'

/**
 * A lake in a bucket of S3, or of a server that speaks its protocol and keeps its promises: read after write, and conditional
 * puts (`If-None-Match: *`), which a run tries before it writes anything. The bucket must be there.
 *
 * Throws PipelineError OPTION_INVALID at once; errors of the store come with the first request.
 *
 * @example
 * await run(taxi, { source, lake: s3({ bucket: 'lake', prefix: 'taxi', region: 'eu-central-1' }) })
 */
export function s3(options: S3Options): Lake {
  const store = s3Store(options)
  return { store, format: deltaFormat(store, parquetEncoder(), { decoder: parquetDecoder() }) }
}
