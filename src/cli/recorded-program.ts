import { ChainKeys } from '../checkpoint/keys.ts'
import { decodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import type { ProgramRecord } from '../runtime/program-record.ts'
import { incarnationsOf } from './chain-records.ts'
import type { RecordedProgram } from './program-diff.ts'

/** The program that a lake's newest incarnation runs. @throws PipelineError PIPELINE_NOT_FOUND, RECORD_UNREADABLE */
export async function recordedProgram(store: ObjectStore, pipeline: string): Promise<RecordedProgram> {
  const record = (await incarnationsOf(store, pipeline)).at(-1)!
  const { incarnation } = record
  const newest = (await store.list(ChainKeys.programPrefix(pipeline, incarnation))).at(-1)
  const later = newest === undefined ? null : await readProgram(store, newest.key)
  const { fingerprint, createdMs } = later ?? record
  return {
    pipeline,
    incarnation,
    program: later?.program ?? 1,
    since: new Date(createdMs).toISOString(),
    fingerprint,
  }
}

async function readProgram(store: ObjectStore, key: string): Promise<ProgramRecord | null> {
  const body = await store.get(key)
  if (body === null) return null
  try {
    return JSON.parse(decodeUtf8(body)) as ProgramRecord
  } catch (error) {
    throw new PipelineError('RECORD_UNREADABLE', `${key} is not JSON`, {
      cause: error,
      advice: 'Restore the object from a copy of the lake.',
    })
  }
}
