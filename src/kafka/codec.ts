import * as zlib from 'node:zlib'
import { decompress as decompressZstdInJs } from 'fzstd'
import { messageOf, PipelineError, unreachable } from '../errors.ts'
import { decompressLz4 } from './lz4.ts'
import { decompressSnappy } from './snappy.ts'

/** The names of Kafka's compression types, at the index that a record batch gives. */
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** A batch that would be larger is refused: brokers take 1 MiB of compressed records unless they are told otherwise. */
export const BATCH_BYTES_MAX = 512 * 1024 * 1024

/** Throws KAFKA_BATCH_CORRUPT, and KAFKA_BATCH_TOO_LARGE above BATCH_BYTES_MAX. `where` is for the message. */
export function decompressBatch(
  codec: number,
  bytes: Uint8Array,
  where: string,
  bytesMax: number = BATCH_BYTES_MAX,
): Uint8Array {
  const name = CODECS[codec]
  if (name === undefined) {
    throw new PipelineError('KAFKA_BATCH_CORRUPT', `${where}: Kafka has no compression type ${codec}`)
  }
  try {
    switch (name) {
      case 'none':
        return bytes
      case 'gzip':
        return zlib.gunzipSync(bytes, { maxOutputLength: bytesMax })
      case 'snappy':
        return decompressSnappy(bytes, bytesMax)
      case 'lz4':
        return decompressLz4(bytes, bytesMax)
      case 'zstd':
        return decompressZstd(bytes, bytesMax)
      default:
        return unreachable(name)
    }
  } catch (cause) {
    if (cause instanceof RangeError && /more than \d+ bytes|larger than/.test(cause.message)) {
      throw new PipelineError('KAFKA_BATCH_TOO_LARGE', `${where}: a batch of more than ${bytesMax} bytes`, {
        cause,
        advice: 'Have its producer send smaller batches (batch.size, max.request.size).',
      })
    }
    throw new PipelineError(
      'KAFKA_BATCH_CORRUPT',
      `${where}: ${name} cannot decompress the batch: ${messageOf(cause)}`,
      { cause },
    )
  }
}

/** Node has zstd from 22.15 on. */
function decompressZstd(bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (typeof zlib.zstdDecompressSync !== 'function') return decompressZstdInJs(bytes)
  return zlib.zstdDecompressSync(bytes, { maxOutputLength: bytesMax })
}
