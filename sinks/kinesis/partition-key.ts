import { createHash } from 'node:crypto'
import { decodeUtf8, isUtf8 } from '../../src/columns/utf8.ts'

/** What Kinesis takes, in characters. */
const CHARACTERS_MAX = 256
// oxlint-disable-next-line no-control-regex -- those are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f]/

/** A text as a partition key: as it is where Kinesis takes it, else its SHA-256. */
export function partitionKeyOf(text: string): string {
  return text === '' || text.length > CHARACTERS_MAX ? sha256(text) : text
}

/** Bytes as a partition key: the text that they are, else their SHA-256. */
export function partitionKeyOfBytes(bytes: Uint8Array): string {
  if (!isUtf8(bytes, 0, bytes.length)) return sha256(bytes)
  const text = decodeUtf8(bytes)
  return CONTROLS.test(text) ? sha256(bytes) : partitionKeyOf(text)
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
