import { type Options, textOf } from './command.ts'
import type { CacheLimits } from './lake-cache.ts'
import { parseBytes } from './option-values.ts'

export const CACHE_DIR_HELP =
  'where files of a lake in S3 are kept (default: millrace/lakes in your cache folder)'
export const CACHE_BYTES_HELP = 'how much of them at most'
export const CACHE_BYTES_DEFAULT = '2GiB'

export function cacheOf(options: Options): CacheLimits {
  return {
    directory: textOf(options, 'cacheDir'),
    bytesMax: parseBytes('--cache-bytes', textOf(options, 'cacheBytes')!),
  }
}
