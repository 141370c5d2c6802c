import { ChainKeys } from '../checkpoint/keys.ts'
import { decodeUtf8, encodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import { diffFingerprints, type Fingerprint, type FingerprintChange } from '../topology/fingerprint.ts'
import { Backoff, isRetryable, type Retry, retrying } from './retry.ts'

/**
 * A program that an incarnation went on with: the first is in the incarnation's own record. Put only where there is none, never changed; the newest is
 * what runs, and what a start is compared with.
 */
export interface ProgramRecord {
  readonly version: 1
  readonly pipeline: string
  readonly incarnation: number
  /** From 2: the incarnation began with 1. */
  readonly program: number
  readonly fingerprint: Fingerprint
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly nonce: string
  readonly run: string
  readonly createdMs: number
}

/** What a program has that the one before had not, and the other way round. */
export interface ProgramChange {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Steps whose state or rows of before would mean something else now. */
  readonly changed: readonly string[]
}

export function programChange(before: Fingerprint, after: Fingerprint): ProgramChange {
  const changes = diffFingerprints(before, after)
  const named = (kind: FingerprintChange['kind']): readonly string[] =>
    changes.filter((change) => change.kind === kind).map(({ step }) => step)
  return { added: named('added'), removed: named('removed'), changed: named('changed') }
}

export interface ProgramPlace {
  readonly store: ObjectStore
  readonly pipeline: string
  readonly incarnation: number
  readonly retry: Retry
}

/** The newest program of an incarnation; null where it still runs the one that it began with. */
export async function newestProgram(place: ProgramPlace): Promise<ProgramRecord | null> {
  const { store, pipeline, incarnation, retry } = place
  const prefix = ChainKeys.programPrefix(pipeline, incarnation)
  const objects = await retrying(retry, `list ${prefix}`, () => store.list(prefix))
  const key = objects.at(-1)?.key
  return key === undefined ? null : readProgram(place, key)
}

/** All that an incarnation went on with, in order. */
export async function programsOf(place: ProgramPlace): Promise<readonly ProgramRecord[]> {
  const { store, pipeline, incarnation, retry } = place
  const prefix = ChainKeys.programPrefix(pipeline, incarnation)
  const objects = await retrying(retry, `list ${prefix}`, () => store.list(prefix))
  const records: ProgramRecord[] = []
  for (const { key } of objects) {
    const record = await readProgram(place, key)
    if (record !== null) records.push(record)
  }
  return records
}

async function readProgram({ store, retry }: ProgramPlace, key: string): Promise<ProgramRecord | null> {
  const body = await retrying(retry, `get ${key}`, () => store.get(key))
  if (body === null) return null
  try {
    return JSON.parse(decodeUtf8(body)) as ProgramRecord
  } catch (error) {
    throw new PipelineError('RECORD_UNREADABLE', `${key} is not JSON`, {
      cause: error,
      advice:
        'The lake was changed by something else than Millrace. Restore the object, or choose another lake.',
    })
  }
}

/** Puts the next program of an incarnation. False where somebody else has put that number: then look again. */
export async function putProgram(place: ProgramPlace, record: ProgramRecord): Promise<boolean> {
  const { store, pipeline, incarnation, retry } = place
  const key = ChainKeys.program(pipeline, incarnation, record.program)
  const body = encodeUtf8(`${JSON.stringify(record)}\n`)
  const backoff = new Backoff(retry, `put ${key}`)
  for (;;) {
    let failure: unknown = new PipelineError('RECORD_GONE', `${key} is there but cannot be read`)
    try {
      if ((await store.putIfAbsent(key, body)) === 'created') return true
    } catch (error) {
      if (!isRetryable(error)) throw error
      failure = error
    }
    const stored = await readProgram(place, key)
    if (stored !== null) return stored.nonce === record.nonce
    await backoff.wait(failure)
  }
}
