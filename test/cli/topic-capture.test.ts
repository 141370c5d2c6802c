import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RawRecord } from '../../consumers/recording/raw-record.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { recordingSource } from '../../consumers/recording/source.ts'
import { captureTopic } from '../../src/cli/topic-capture.ts'
import { PipelineError } from '../../src/errors.ts'
import type { Clock, Source } from '../../src/ports.ts'
import { gate, quiet, type ScriptedRead, scriptedSource } from '../support/scripted-source.ts'
import { folderWith } from './run-cli.ts'

const START_MS = 1_000_000
const clock: Clock = { nowMs: () => START_MS, sleep: async () => {} }

/** 'partition/offset@timestamp' */
type Place = readonly [partition: number, offset: number, timestampMs: number]

function sourceOf(places: readonly Place[], script: Record<string, readonly ScriptedRead[]> = {}): Source {
  const path = join(folderWith({}), 'x.avro')
  const writer = createRecordingWriter(path)
  for (const [partition, offset, timestampMs] of places) {
    // What comes live arrives when it is read: five seconds after the start.
    const arrivalMs = START_MS + 5_000
    writer.append({
      topic: 't',
      partition,
      offset,
      timestampMs,
      arrivalMs,
      key: null,
      value: null,
      headers: [],
    })
  }
  writer.close()
  return scriptedSource(recordingSource({ path }), script)
}

interface Capture {
  readonly ends?: Readonly<Record<string, number>>
  readonly untilEnd?: boolean
  readonly recordsMax?: number
  readonly signal?: AbortSignal
}

async function captureOf(
  source: Source,
  { ends = {}, untilEnd = false, recordsMax = 1e9, signal }: Capture = {},
) {
  const records: RawRecord[] = []
  await captureTopic({
    source,
    clock,
    signal: signal ?? new AbortController().signal,
    endOffsets: new Map(Object.entries(ends)),
    untilEnd,
    write: (record) => records.push(record) < recordsMax,
  })
  await source.close()
  return records.map(({ partition, offset, arrivalMs }) => `${partition}/${offset}@${arrivalMs}`)
}

const BACKLOG: readonly Place[] = [
  [0, 0, 10],
  [0, 1, 40],
  [0, 2, 50],
  [1, 0, 20],
  [1, 1, 30],
  [1, 2, 60],
]

describe('a capture', () => {
  it('merges what was there by its timestamps, and what came later by when it was read', async () => {
    expect(await captureOf(sourceOf(BACKLOG), { ends: { 't-0': 2, 't-1': 3 } })).toEqual([
      '0/0@10',
      '1/0@20',
      '1/1@30',
      '0/1@40',
      '1/2@60',
      `0/2@${START_MS + 5_000}`,
    ])
  })

  it('does not wait for a partition that has nothing at the moment', async () => {
    const later = gate()
    const source = sourceOf(BACKLOG, { 't-1': [quiet(0), () => later.passed.then(() => 1)] })
    const ends = { 't-0': 3, 't-1': 3 }
    const records: string[] = []
    await captureTopic({
      source,
      clock,
      signal: new AbortController().signal,
      endOffsets: new Map(Object.entries(ends)),
      untilEnd: false,
      write: ({ partition, offset }) => {
        records.push(`${partition}/${offset}`)
        if (records.length === 3) later.open()
        return true
      },
    })
    expect(records).toEqual(['0/0', '0/1', '0/2', '1/0', '1/1', '1/2'])
  })

  it('ends where the topic ended, with what had come until then', async () => {
    const source = sourceOf(BACKLOG, { 't-1': [1, quiet(0)] })
    expect(await captureOf(source, { ends: { 't-0': 2, 't-1': 9 }, untilEnd: true })).toEqual([
      '0/0@10',
      '1/0@20',
      '0/1@40',
    ])
  })

  it('ends when enough was written, and when it is told to', async () => {
    expect(await captureOf(sourceOf(BACKLOG), { recordsMax: 2 })).toHaveLength(2)
    const stop = new AbortController()
    const never = () => {
      setImmediate(() => stop.abort())
      return new Promise<number>(() => {})
    }
    const source = sourceOf(BACKLOG, { 't-0': [2, never], 't-1': [3, quiet(0), quiet(0)] })
    expect(await captureOf(source, { signal: stop.signal })).toHaveLength(5)
  })

  it('goes on after an error that waiting mends, and ends with one that it does not', async () => {
    const lost = () => {
      throw new PipelineError('KAFKA_UNREACHABLE', 'away', { retryable: true })
    }
    const ends = { 't-0': 3, 't-1': 3 }
    expect(await captureOf(sourceOf(BACKLOG, { 't-0': [1, lost, 1] }), { ends })).toHaveLength(6)
    const expired = () => {
      throw new PipelineError('POSITION_EXPIRED', 'gone')
    }
    await expect(captureOf(sourceOf(BACKLOG, { 't-0': [1, expired] }), { ends })).rejects.toThrow('gone')
  })
})
