import { partKey, type StagedName } from '../checkpoint/keys.ts'
import type { SnapshotPart } from '../checkpoint/record.ts'
import { PipelineError } from '../errors.ts'
import { retrying } from './retry.ts'
import { nameOf, putStaged, type TaskContext } from './task-context.ts'

/**
 * State and partials at rest: JSON lines, each an object of its own. Large state is many lines, because a string has at most 512 MiB in V8,
 * and a line can be forgotten as soon as it is written.
 */
export function encodeLines(values: Iterable<unknown>): Uint8Array {
  const encoder = new TextEncoder()
  const lines = Array.from(values, (value) => encoder.encode(`${JSON.stringify(value)}\n`))
  return joined(
    lines,
    lines.reduce((bytes, line) => bytes + line.length, 0),
  )
}

/** The lines in bodies of about `partBytes`, made one at a time: all of them together may not fit the memory. At least one, which may be empty. */
export function* encodeParts(values: Iterable<unknown>, partBytes: number): Generator<Uint8Array> {
  const encoder = new TextEncoder()
  let lines: Uint8Array[] = []
  let bytes = 0
  let parts = 0
  for (const value of values) {
    if (bytes >= partBytes) {
      yield joined(lines, bytes)
      parts++
      lines = []
      bytes = 0
    }
    const line = encoder.encode(`${JSON.stringify(value)}\n`)
    lines.push(line)
    bytes += line.length
  }
  if (bytes > 0 || parts === 0) yield joined(lines, bytes)
}

function joined(lines: readonly Uint8Array[], bytes: number): Uint8Array {
  if (lines.length === 1) return lines[0]!
  const body = new Uint8Array(bytes)
  let at = 0
  for (const line of lines) {
    body.set(line, at)
    at += line.length
  }
  return body
}

const LINE_FEED = 0x0a

export function* decodeLines(body: Uint8Array): Iterable<unknown> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let start = 0
  while (start < body.length) {
    const feed = body.indexOf(LINE_FEED, start)
    const end = feed < 0 ? body.length : feed
    yield JSON.parse(decoder.decode(body.subarray(start, end)))
    start = end + 1
  }
}

/** One line of a body, and only that one is parsed. Undefined where there are fewer. */
export function decodeLine(body: Uint8Array, index: number): unknown {
  let start = 0
  for (let at = 0; start < body.length; at++) {
    const feed = body.indexOf(LINE_FEED, start)
    const end = feed < 0 ? body.length : feed
    if (at === index)
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body.subarray(start, end)))
    start = end + 1
  }
  return undefined
}

/** Stages what `encodeLines` gave, and returns the key. */
export async function stageLines(
  context: TaskContext,
  task: string,
  name: StagedName,
  kind: string,
  body: Uint8Array,
): Promise<string> {
  const key = context.keys.staged(task, nameOf(context, name), kind)
  await putStaged(context, key, body)
  return key
}

/** Stages values in as many objects as it takes. While one is on its way the next is made. */
export async function stageParts(
  context: TaskContext,
  task: string,
  name: StagedName,
  kind: string,
  values: Iterable<unknown>,
  partBytes: number,
): Promise<SnapshotPart> {
  const key = context.keys.staged(task, nameOf(context, name), kind)
  let parts = 0
  let bytes = 0
  let underWay: Promise<void> = Promise.resolve()
  for (const body of encodeParts(values, partBytes)) {
    await underWay
    underWay = putStaged(context, partKey(key, parts), body)
    underWay.catch(() => {})
    parts++
    bytes += body.length
  }
  await underWay
  return { key, parts, bytes }
}

/** The lines of a key that a record names. */
export async function readLines(context: TaskContext, key: string): Promise<Iterable<unknown>> {
  return decodeLines(await readStaged(context, key))
}

/** One line of a key that a record names. Undefined where it has fewer. */
export async function readLine(context: TaskContext, key: string, index: number): Promise<unknown> {
  return decodeLine(await readStaged(context, key), index)
}

/** What a record names must be there. */
export async function readStaged(context: TaskContext, key: string): Promise<Uint8Array> {
  const body = await retrying(context.retry, `get ${key}`, () => context.store.get(key))
  if (body !== null) return body
  throw new PipelineError('STATE_GONE', `${key}, which a checkpoint record names, is not in the lake`, {
    advice:
      'The lake was changed by something else than Millrace. Restore the object, or begin again with --fresh.',
  })
}
