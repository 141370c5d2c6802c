import type { StagedName } from '../checkpoint/keys.ts'
import { PipelineError } from '../errors.ts'
import { retrying } from './retry.ts'
import { nameOf, putStaged, type TaskContext } from './task-context.ts'

/**
 * State and partials at rest: JSON lines, each an object of its own. Large state is many lines, because a string has at most 512 MiB in V8,
 * and a line can be forgotten as soon as it is written.
 */
export function encodeLines(values: Iterable<unknown>): Uint8Array {
  const encoder = new TextEncoder()
  const lines: Uint8Array[] = []
  let bytes = 0
  for (const value of values) {
    const line = encoder.encode(`${JSON.stringify(value)}\n`)
    lines.push(line)
    bytes += line.length
  }
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

/** The lines of a key that a record names. */
export async function readLines(context: TaskContext, key: string): Promise<Iterable<unknown>> {
  return decodeLines(await readStaged(context, key))
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
