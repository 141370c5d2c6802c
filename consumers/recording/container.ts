import { open, type FileHandle } from 'node:fs/promises'
import type { PipelineError } from '../../src/errors.ts'
import { CODECS, type Codec, decompress, isAvailable, isCodec } from './codec.ts'
import { cutRecording, foreignSchema, invalidRecording, recordingUnreadable } from './recording-error.ts'
import { layoutMismatch } from './recording-schema.ts'
import { decodeSummary, type RecordingSummary, SUMMARY_KEY } from './recording-summary.ts'
import { VarintReader } from './varint.ts'

/**
 * The container of a recording: an Avro object container file (Avro specification 1.12, "Object Container Files").
 *
 *   file   = 'O' 'b' 'j' 1, metadata as map<bytes>, sync marker (16 bytes), block*
 *   block  = record count (long), size in bytes (long), records after the codec, sync marker
 */
const MAGIC = [0x4f, 0x62, 0x6a, 0x01]
const SYNC_BYTES = 16
const READ_BYTES = 256 * 1024
/** A header or block beyond these is taken for damage: the file is refused. */
const HEADER_BYTES_MAX = 16 * 1024 * 1024
export const BLOCK_BYTES_MAX = 64 * 1024 * 1024
/** Count and size of a block take at most two ten-byte varints. */
const BLOCK_PREFIX_BYTES_MAX = 20

export interface RecordingHeader {
  readonly metadata: ReadonlyMap<string, Uint8Array>
  readonly codec: Codec
  readonly sync: Uint8Array
  /** Where the first block starts. */
  readonly bytes: number
}

/** `body` is valid until the cursor's next call. */
export interface RecordingBlock {
  readonly start: number
  /** Exclusive: where the next block starts. */
  readonly end: number
  readonly count: number
  readonly body: Uint8Array
}

/** An open recording. Any number of cursors read from it at once. */
export class RecordingFile {
  readonly path: string
  readonly size: number
  readonly header: RecordingHeader
  /** Null where another library wrote the file. */
  readonly summary: RecordingSummary | null
  readonly #handle: FileHandle

  /** Throws RECORDING_MISSING, RECORDING_UNREADABLE, RECORDING_INVALID, or RECORDING_CUT in the header. */
  static async open(path: string): Promise<RecordingFile> {
    let handle: FileHandle
    let size: number
    try {
      handle = await open(path, 'r')
    } catch (cause) {
      throw recordingUnreadable(path, cause)
    }
    try {
      size = (await handle.stat()).size
      return new RecordingFile(path, handle, size, await readHeader(path, handle, size))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  private constructor(path: string, handle: FileHandle, size: number, header: RecordingHeader) {
    this.path = path
    this.size = size
    this.header = header
    this.summary = decodeSummary(header.metadata.get(SUMMARY_KEY))
    this.#handle = handle
  }

  /** Blocks from `position` on, which must be the start of a block. */
  blocksFrom(position: number): BlockCursor {
    return new BlockCursor(this, position)
  }

  /** Fills `buffer` from `position` as far as the file goes; the number of bytes read. */
  async read(buffer: Uint8Array, position: number): Promise<number> {
    return readFully(this.path, this.#handle, buffer, position)
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** Reads blocks one after the other. Memory: one compressed and one decompressed block, or READ_BYTES. */
export class BlockCursor {
  readonly #file: RecordingFile
  #buffer = new Uint8Array(0)
  /** The file position of `#buffer[0]`. */
  #bufferPosition: number
  #at = 0
  #filled = 0

  constructor(file: RecordingFile, position: number) {
    this.#file = file
    this.#bufferPosition = position
  }

  /** The start of the next block. */
  get position(): number {
    return this.#bufferPosition + this.#at
  }

  /** Null at the end. Throws RECORDING_CUT where the file ends within a block, or a sync marker is wrong. */
  async next(): Promise<RecordingBlock | null> {
    const file = this.#file
    const start = this.position
    if (start === file.size) {
      const whole = file.summary?.bytes ?? file.size
      if (whole <= file.size) return null
      throw cutRecording(file.path, start, file.size, `it had ${whole} bytes when it was written`)
    }
    await this.#ensure(BLOCK_PREFIX_BYTES_MAX)
    const reader = new VarintReader(this.#buffer, this.#at, this.#filled)
    const count = reader.long()
    const size = reader.long()
    if (!reader.ok) {
      if (file.size - start >= BLOCK_PREFIX_BYTES_MAX)
        throw this.#broken(start, 'its count or size is broken')
      throw this.#cut(start, 'the file ends within a block')
    }
    const prefix = reader.at - this.#at
    const end = start + prefix + size + SYNC_BYTES
    if (count < 0 || size < 0) throw this.#broken(start, `it has ${count} records in ${size} bytes`)
    if (end > file.size) {
      throw this.#cut(start, `the block there needs ${end - file.size} more bytes than the file has`)
    }
    if (size > BLOCK_BYTES_MAX) throw this.#broken(start, `its size is ${size}, above ${BLOCK_BYTES_MAX}`)
    await this.#ensure(end - start)
    if (this.#filled - this.#at < end - start) throw this.#cut(start, 'the file became shorter meanwhile')
    const bodyStart = this.#at + prefix
    const bodyEnd = bodyStart + size
    if (!equals(this.#buffer, bodyEnd, file.header.sync)) {
      throw this.#cut(start, 'the block there does not end with the sync marker of the file')
    }
    this.#at = bodyEnd + SYNC_BYTES
    return { start, end, count, body: this.#decompress(start, this.#buffer.subarray(bodyStart, bodyEnd)) }
  }

  #decompress(start: number, body: Uint8Array): Uint8Array {
    const codec = this.#file.header.codec
    try {
      return decompress(codec, body, BLOCK_BYTES_MAX)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw this.#broken(start, `${codec} cannot decompress it: ${reason}`)
    }
  }

  /** Has `bytes` bytes in the buffer from `#at` on, or all that the file has. */
  async #ensure(bytes: number): Promise<void> {
    if (this.#filled - this.#at >= bytes) return
    const position = this.position
    const kept = this.#buffer.subarray(this.#at, this.#filled)
    const capacity = Math.min(Math.max(bytes, READ_BYTES), this.#file.size - position)
    if (this.#buffer.length < capacity) {
      const larger = new Uint8Array(capacity)
      larger.set(kept)
      this.#buffer = larger
    } else {
      this.#buffer.copyWithin(0, this.#at, this.#filled)
    }
    this.#bufferPosition = position
    this.#at = 0
    this.#filled = kept.length
    const wanted = Math.min(this.#buffer.length, this.#file.size - position)
    if (wanted > this.#filled) {
      const target = this.#buffer.subarray(this.#filled, wanted)
      this.#filled += await this.#file.read(target, position + this.#filled)
    }
  }

  #cut(start: number, what: string): PipelineError {
    return cutRecording(this.#file.path, start, this.#file.size, what)
  }

  #broken(start: number, what: string): PipelineError {
    return invalidRecording(this.#file.path, `the block at byte ${start} is broken: ${what}`)
  }
}

async function readHeader(path: string, handle: FileHandle, size: number): Promise<RecordingHeader> {
  for (let bytes = READ_BYTES; ; bytes *= 4) {
    const buffer = new Uint8Array(Math.min(bytes, size))
    await readFully(path, handle, buffer, 0)
    if (buffer.length < MAGIC.length || !MAGIC.every((byte, index) => buffer[index] === byte)) {
      throw invalidRecording(
        path,
        size === 0 ? 'the file is empty' : 'not an Avro object container file',
        'Give a recording (.avro). JSON lines become one with `millrace recording make`.',
      )
    }
    const parsed = parseHeader(buffer)
    if (parsed !== null) return checkHeader(path, parsed)
    if (buffer.length === size) throw cutRecording(path, 0, size, 'the file ends within its header')
    if (bytes >= HEADER_BYTES_MAX) {
      throw invalidRecording(path, `the header does not end within ${HEADER_BYTES_MAX} bytes`)
    }
  }
}

interface ParsedHeader {
  readonly metadata: ReadonlyMap<string, Uint8Array>
  readonly sync: Uint8Array
  readonly bytes: number
}

/** Null where the bytes end before the header does. */
function parseHeader(bytes: Uint8Array): ParsedHeader | null {
  const reader = new VarintReader(bytes, MAGIC.length, bytes.length)
  const metadata = new Map<string, Uint8Array>()
  const text = new TextDecoder()
  const take = (): Uint8Array => {
    const length = reader.long()
    if (length < 0 || length > reader.end - reader.at) reader.ok = false
    if (!reader.ok) return new Uint8Array(0)
    reader.at += length
    return bytes.slice(reader.at - length, reader.at)
  }
  for (let count = reader.long(); count !== 0 && reader.ok; count = reader.long()) {
    if (count < 0) reader.long()
    for (let left = Math.abs(count); left > 0 && reader.ok; left -= 1)
      metadata.set(text.decode(take()), take())
  }
  const end = reader.at + SYNC_BYTES
  if (!reader.ok || end > bytes.length) return null
  return { metadata, sync: bytes.slice(reader.at, end), bytes: end }
}

function checkHeader(path: string, header: ParsedHeader): RecordingHeader {
  const text = new TextDecoder()
  const schema = header.metadata.get('avro.schema')
  const mismatch = schema === undefined ? 'its header has no schema' : layoutMismatch(text.decode(schema))
  if (mismatch !== null) throw foreignSchema(path, mismatch)
  const codec = text.decode(header.metadata.get('avro.codec') ?? new Uint8Array(0)) || 'null'
  if (!isCodec(codec)) {
    const advice = `Write the recording with one of the codecs ${CODECS.join(', ')}.`
    throw invalidRecording(path, `the codec ${codec} is not supported`, advice)
  }
  if (!isAvailable(codec)) {
    const advice = 'Run Node 22.15 or later, or write the recording with the codec deflate.'
    throw invalidRecording(path, `this Node cannot decompress ${codec}`, advice)
  }
  return { metadata: header.metadata, codec, sync: header.sync, bytes: header.bytes }
}

async function readFully(
  path: string,
  handle: FileHandle,
  buffer: Uint8Array,
  position: number,
): Promise<number> {
  let filled = 0
  try {
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
  } catch (cause) {
    throw recordingUnreadable(path, cause)
  }
  return filled
}

function equals(bytes: Uint8Array, start: number, expected: Uint8Array): boolean {
  if (start + expected.length > bytes.length) return false
  for (let index = 0; index < expected.length; index += 1) {
    if (bytes[start + index] !== expected[index]) return false
  }
  return true
}
