import { byteText } from './format.ts'
import type { FetchProgress } from './lake-cache.ts'
import type { Channel } from './terminal.ts'

/** Back to the start of the line, and nothing after it. */
const CLEAR_LINE = '\r\u001B[K'

/** One line that says how much of a table has been fetched, and goes away. Null where nobody looks. */
export function fetchProgress(channel: Channel): ((progress: FetchProgress | null) => void) | null {
  if (!channel.interactive) return null
  return (progress) => {
    const text =
      progress === null
        ? ''
        : ` reading ${progress.table}: ${byteText(progress.bytes)} of ${byteText(progress.bytesTotal)}`
    channel.stream.write(CLEAR_LINE + channel.style('dim', text))
  }
}
