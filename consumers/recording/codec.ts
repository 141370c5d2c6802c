import * as zlib from 'node:zlib'
import { unreachable } from '../../src/errors.ts'

/** The codecs that node:zlib has. zstandard needs Node 22.15 or later. */
export const CODECS = ['null', 'deflate', 'zstandard'] as const

export type Codec = (typeof CODECS)[number]

export function isCodec(name: string): name is Codec {
  return (CODECS as readonly string[]).includes(name)
}

/** False where this Node lacks it. */
export function isAvailable(codec: Codec): boolean {
  return codec !== 'zstandard' || typeof zlib.zstdDecompressSync === 'function'
}

/** Throws what zlib throws, also where the output would be larger than `bytesMax`. */
export function decompress(codec: Codec, body: Uint8Array, bytesMax: number): Uint8Array {
  switch (codec) {
    case 'null':
      return body
    case 'deflate':
      return zlib.inflateRawSync(body, { maxOutputLength: bytesMax })
    case 'zstandard':
      return zlib.zstdDecompressSync(body, { maxOutputLength: bytesMax })
    default:
      return unreachable(codec)
  }
}

export function compress(codec: Codec, body: Uint8Array): Uint8Array {
  switch (codec) {
    case 'null':
      return body
    case 'deflate':
      return zlib.deflateRawSync(body, { level: 6 })
    case 'zstandard':
      return zlib.zstdCompressSync(body)
    default:
      return unreachable(codec)
  }
}
