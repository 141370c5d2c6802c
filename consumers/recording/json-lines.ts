import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { messageOf, PipelineError } from '../../src/errors.ts'

export interface JsonLine {
  /** From 1. */
  readonly number: number
  readonly text: string
}

const LINE_BYTES_MAX = 64 * 1024 * 1024
const NEWLINE = 0x0a

/**
 * The lines of a file that are not blank, gunzipped where its name ends in .gz. Split at LF bytes only: readline would
 * split JSON strings at U+2028. Throws INPUT_UNREADABLE.
 */
export async function* readJsonLines(path: string): AsyncGenerator<JsonLine> {
  let number = 0
  for await (const bytes of lineBytes(path)) {
    number += 1
    const text = bytes.toString('utf8').trim()
    if (text !== '') yield { number, text }
  }
}

async function* lineBytes(path: string): AsyncGenerator<Buffer> {
  let started: Buffer[] = []
  let startedBytes = 0
  for await (const chunk of chunks(path)) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield Buffer.concat([...started, chunk.subarray(start, end)])
      started = []
      startedBytes = 0
      start = end + 1
    }
    started.push(chunk.subarray(start))
    startedBytes += chunk.length - start
    if (startedBytes > LINE_BYTES_MAX) {
      throw new PipelineError('INPUT_INVALID', `${path}: a line is longer than ${LINE_BYTES_MAX} bytes`, {
        advice: 'Give JSON lines: one JSON object a line.',
      })
    }
  }
  if (startedBytes > 0) yield Buffer.concat(started)
}

async function* chunks(path: string): AsyncGenerator<Buffer> {
  const file = createReadStream(path)
  const stream = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  // pipe() does not hand errors on.
  if (stream !== file) file.on('error', (error) => stream.destroy(error))
  try {
    for await (const chunk of stream) yield chunk as Buffer
  } catch (cause) {
    throw new PipelineError('INPUT_UNREADABLE', `${path}: the input cannot be read: ${messageOf(cause)}`, {
      cause,
      advice: 'Give a file of JSON lines, plain or gzipped with a name that ends in .gz.',
    })
  } finally {
    file.destroy()
  }
}
