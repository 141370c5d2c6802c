import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { RawRecord } from '../../../consumers/recording/raw-record.ts'
import { type RecordingSourceOptions, recordingSource } from '../../../consumers/recording/source.ts'
import type { Clock, ReadResult, Source, SourcePartition } from '../../../src/ports.ts'
import { avscFileOf, avscValueOf, readAll, record, recordingOf, recordsOf } from './sample-recordings.ts'

const START_MS = 1_700_000_000_000

function openSource(options: RecordingSourceOptions): Source {
  const source = recordingSource(options)
  onTestFinished(() => source.close())
  return source
}

async function openAll(source: Source, position: string | null = null) {
  const partitions = await source.partitions()
  return Promise.all(partitions.map((partition) => source.open(partition, position)))
}

function offsetsOf(records: readonly RawRecord[]): number[] {
  return records.map(({ offset }) => offset)
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}

/** Records of several partitions in turn, one arrival millisecond each. */
function interleaved(partitions: number, each: number, valueBytes = 20): RawRecord[] {
  const value = new Uint8Array(valueBytes).fill(0x61)
  return range(0, partitions * each).map((index) =>
    record(index % partitions, Math.floor(index / partitions), { arrivalMs: START_MS + index, value }),
  )
}

describe('partitions', () => {
  test('are known from the metadata of our writer, and from a scan otherwise', async () => {
    const records = [record(2, 0), record(0, 5), record(2, 1), record(11, 0)]
    const foreign = await avscFileOf(records.map(avscValueOf))
    for (const path of [recordingOf(records), foreign]) {
      expect(await openSource({ path }).partitions()).toEqual([
        { id: 'trips-0', topic: 'trips', partition: 0 },
        { id: 'trips-2', topic: 'trips', partition: 2 },
        { id: 'trips-11', topic: 'trips', partition: 11 },
      ])
    }
  })

  test('have ids that are safe in a file name, and that differ', async () => {
    const topics = ['a/b', 'a~2fb', 'straße', '..', 'A.b_c-1']
    const ids = await Promise.all(
      topics.map(async (topic) => {
        const source = openSource({ path: recordingOf([record(0, 0, { topic })]) })
        return (await source.partitions())[0]!.id
      }),
    )
    expect(ids).toEqual(['a~2fb-0', 'a~7e2fb-0', 'stra~c3~9fe-0', '..-0', 'A.b_c-1-0'])
  })

  test('an empty recording has none', async () => {
    expect(await openSource({ path: recordingOf([]) }).partitions()).toEqual([])
  })

  test('of several topics: one must be chosen', async () => {
    const path = recordingOf([
      record(0, 0, { topic: 'b' }),
      record(0, 0, { topic: 'a' }),
      record(0, 1, { topic: 'b' }),
    ])
    await expect(openSource({ path }).partitions()).rejects.toMatchObject({
      code: 'RECORDING_TOPICS',
      message: `${path}: the recording has several topics: a, b`,
    })
    await expect(openSource({ path, topic: 'c' }).partitions()).rejects.toMatchObject({
      code: 'RECORDING_TOPICS',
      advice: 'It has: a, b.',
    })
    const source = openSource({ path, topic: 'b' })
    const [reader] = await openAll(source)
    expect(offsetsOf((await readAll(reader!)).records)).toEqual([0, 1])
  })
})

describe('positions', () => {
  test('a reader continues behind the record whose position it was given', async () => {
    const source = openSource({ path: recordingOf(interleaved(2, 50)) })
    const [partition] = await source.partitions()
    const first = await source.open(partition!, null)
    const result = (await first.read(7)) as Extract<ReadResult, { kind: 'records' }>
    expect(result.batch.count).toBe(7)
    const next = await source.open(partition!, result.batch.positionAfter(4))
    expect(offsetsOf((await readAll(next)).records)).toEqual(range(5, 50))
    // The first reader is not disturbed.
    expect(offsetsOf((await readAll(first)).records)).toEqual(range(7, 50))
  })

  test('gaps in the offsets stay', async () => {
    const path = recordingOf([record(0, 3), record(0, 10), record(0, 11)])
    const [reader] = await openAll(openSource({ path }), '4')
    const result = await reader!.read(1)
    expect(result).toMatchObject({ kind: 'records', batch: { count: 1 } })
    expect((result as Extract<ReadResult, { kind: 'records' }>).batch.positionAfter(0)).toBe('11')
  })

  test('behind the last record there is only the end', async () => {
    const [reader] = await openAll(openSource({ path: recordingOf(interleaved(1, 5)) }), '5')
    expect(await reader!.read(10)).toEqual({ kind: 'end' })
    expect(await reader!.read(10)).toEqual({ kind: 'end' })
  })

  test('a position of something else is refused', async () => {
    const source = openSource({ path: recordingOf(interleaved(1, 5)) })
    const [partition] = await source.partitions()
    for (const position of ['', '-1', '1.5', 'shardId-000:49590', '9007199254740993']) {
      await expect(source.open(partition!, position)).rejects.toMatchObject({ code: 'POSITION_INVALID' })
    }
  })

  test('offsets that do not ascend are damage, after what is before', async () => {
    const records = [record(0, 5), record(0, 6), record(0, 6), record(0, 7)]
    const path = await avscFileOf(records.map(avscValueOf))
    const [reader] = await openAll(openSource({ path }))
    const { records: found, last } = await readAll(reader!)
    expect(offsetsOf(found)).toEqual([5, 6])
    expect(last).toMatchObject({
      code: 'RECORDING_INVALID',
      message: expect.stringContaining('offset 6 of partition 0 follows offset 6'),
    })
  })
})

function labelled(partition: number, offset: number): Uint8Array {
  return new TextEncoder().encode(`${partition}/${offset} `.padEnd(40_000, '.'))
}

describe('readers at different speeds', () => {
  test('one after the other: nobody waits for a reader that does not read', async () => {
    // More than the lanes may hold: every reader but the first falls behind and reads by itself.
    const each = 300
    const path = recordingOf(interleaved(3, each, 64 * 1024), { codec: 'zstandard' })
    const readers = await openAll(openSource({ path }))
    for (const reader of readers) {
      const { records, last } = await readAll(reader)
      expect(offsetsOf(records)).toEqual(range(0, each))
      expect(last).toBe('end')
    }
  })

  test('whatever the order of the reads, each partition gets its records once, in order', async () => {
    const partitions = 3
    const each = 420
    const path = recordingOf(interleaved(partitions, each, 32 * 1024), {
      codec: 'zstandard',
      blockBytes: 100_000,
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            reader: fc.nat(partitions - 1),
            reads: fc.nat(40),
            size: fc.integer({ min: 1, max: 30 }),
          }),
          {
            maxLength: 12,
          },
        ),
        async (steps) => {
          const source = recordingSource({ path })
          const readers = await openAll(source)
          const found = readers.map((): RawRecord[] => [])
          const ended = new Set<number>()
          const read = async (index: number, size: number) => {
            if (ended.has(index)) return
            const result = await readers[index]!.read(size)
            if (result.kind === 'records') found[index]!.push(...recordsOf(result))
            if (result.kind === 'end') ended.add(index)
          }
          for (const { reader, reads, size } of steps)
            for (let n = 0; n < reads; n += 1) await read(reader, size)
          // The rest at once.
          await Promise.all(
            readers.map(async (_, index) => {
              while (!ended.has(index)) await read(index, 50)
            }),
          )
          for (const records of found) expect(offsetsOf(records)).toEqual(range(0, each))
          expect(found.flat().every(({ value }) => value![0] === 0x61 && value!.at(-1) === 0x61)).toBe(true)
          await source.close()
        },
      ),
      { numRuns: 8 },
    )
  })

  test('a batch stays as it is until its own reader reads again', async () => {
    const records = range(0, 400).map((index) => {
      const [partition, offset] = [index % 2, index >> 1] as const
      return record(partition, offset, { value: labelled(partition, offset) })
    })
    const source = openSource({ path: recordingOf(records, { codec: 'zstandard' }) })
    const [held, busy] = await openAll(source)
    const batch = ((await held!.read(3)) as Extract<ReadResult, { kind: 'records' }>).batch
    await readAll(busy!)
    for (let row = 0; row < 3; row += 1) {
      expect(batch.arena.slice(batch.valueStart[row], batch.valueEnd[row])).toEqual(labelled(0, row))
    }
    await held!.close()
    await source.close()
  })

  test('a reader that is closed is forgotten, and can be opened again where it was', async () => {
    const each = 200
    const source = openSource({
      path: recordingOf(interleaved(2, each, 64 * 1024), { codec: 'zstandard' }),
    })
    const partitions = await source.partitions()
    const [left, right] = await openAll(source)
    const result = (await left!.read(5)) as Extract<ReadResult, { kind: 'records' }>
    const position = result.batch.positionAfter(result.batch.count - 1)
    await left!.close()
    expect(offsetsOf((await readAll(right!)).records)).toEqual(range(0, each))
    const again = await source.open(partitions[0]!, position)
    expect(offsetsOf((await readAll(again)).records)).toEqual(range(5, each))
  })
})

/** Partition 0 has records at the start and at the end, partition 1 many between. */
function silentRecording(): string {
  const value = new Uint8Array(64 * 1024)
  return recordingOf(
    [
      record(0, 0, { arrivalMs: START_MS }),
      ...range(0, 100).map((offset) =>
        record(1, offset, { arrivalMs: START_MS + 1_000 * (offset + 1), value }),
      ),
      record(0, 1, { arrivalMs: START_MS + 200_000 }),
    ],
    { codec: 'zstandard' },
  )
}

async function story(reader: Awaited<ReturnType<typeof openAll>>[number]): Promise<(number | string)[]> {
  const told: (number | string)[] = []
  for (;;) {
    const result = await reader.read(100)
    if (result.kind === 'records')
      told.push(...range(0, result.batch.count).map((row) => result.batch.offsets[row]!))
    else if (result.kind === 'quiet') told.push(`quiet ${(result.arrivalClockMs - START_MS) / 1_000}`)
    else return [...told, result.kind]
  }
}

describe('silence', () => {
  test('is told with the arrival time that the whole recording has reached', async () => {
    const [quiet] = await openAll(openSource({ path: silentRecording() }))
    const told = await story(quiet!)
    expect(told[0]).toBe(0)
    expect(told.slice(-2)).toEqual([1, 'end'])
    const silences = told.slice(1, -2).map((text) => Number(String(text).slice('quiet '.length)))
    expect(silences.length).toBeGreaterThan(3)
    expect(silences).toEqual(silences.toSorted((a, b) => a - b))
    expect(silences.at(-1)).toBeLessThanOrEqual(100)
  })

  test('depends on the recording alone, not on who reads when', async () => {
    const path = silentRecording()
    const [quiet] = await openAll(openSource({ path }))
    const alone = await story(quiet!)
    const [other, busy] = await openAll(openSource({ path }))
    const [together] = await Promise.all([story(other!), readAll(busy!)])
    expect(together).toEqual(alone)
  })

  test('is not told before the place where a reader continues', async () => {
    const [quiet] = await openAll(openSource({ path: silentRecording() }), '2')
    expect(await story(quiet!)).toEqual(['end'])
  })
})

describe('until', () => {
  test('stops before the first record that arrived at that time or later', async () => {
    const path = recordingOf(interleaved(2, 100))
    const [left, right] = await openAll(openSource({ path, untilMs: START_MS + 81 }))
    const even = await readAll(left!)
    expect(offsetsOf(even.records)).toEqual(range(0, 41))
    expect(even.last).toBe('stop')
    const odd = await readAll(right!)
    expect(offsetsOf(odd.records)).toEqual(range(0, 40))
    expect(odd.last).toBe('stop')
  })

  test('behind the last record is the end', async () => {
    const path = recordingOf(interleaved(1, 10))
    const [reader] = await openAll(openSource({ path, untilMs: START_MS + 10 }))
    expect((await readAll(reader!)).last).toBe('end')
  })
})

/** Time passes only when somebody sleeps. */
class FakeClock implements Clock {
  ms = 5_000
  readonly sleeps: number[] = []

  nowMs(): number {
    return this.ms
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return
    this.sleeps.push(ms)
    this.ms += ms
  }
}

function pacedRecording(): string {
  return recordingOf(
    [0, 0, 30, 31, 4_000].map((afterMs, offset) => record(0, offset, { arrivalMs: START_MS + afterMs })),
  )
}

describe('speed', () => {
  test('1 delivers each record when as much time has passed as when it arrived', async () => {
    const clock = new FakeClock()
    const [reader] = await openAll(openSource({ path: pacedRecording(), speed: 1, clock }))
    const told: [number, string, number][] = []
    for (let result = await reader!.read(10); result.kind !== 'end'; result = await reader!.read(10)) {
      if (result.kind === 'records') told.push([clock.ms - 5_000, 'records', result.batch.count])
      if (result.kind === 'quiet') told.push([clock.ms - 5_000, 'quiet', result.arrivalClockMs - START_MS])
    }
    expect(told).toEqual([
      [0, 'records', 2],
      [30, 'records', 1],
      [31, 'records', 1],
      [1_031, 'quiet', 1_031],
      [2_031, 'quiet', 2_031],
      [3_031, 'quiet', 3_031],
      [4_000, 'records', 1],
    ])
  })

  test('60 is sixty times as fast, counted from the first record that is asked for', async () => {
    const clock = new FakeClock()
    const [reader] = await openAll(openSource({ path: pacedRecording(), speed: 60, clock }), '2')
    expect(offsetsOf((await readAll(reader!)).records)).toEqual([2, 3, 4])
    expect(clock.ms - 5_000).toBeCloseTo((4_000 - 30) / 60, 6)
  })

  test('a reader that is closed while it waits stops', async () => {
    const clock: Clock = {
      nowMs: () => 0,
      // Nobody wakes it but the signal.
      sleep: (_ms, signal) =>
        new Promise((resolve) => {
          signal?.addEventListener('abort', () => resolve())
        }),
    }
    const source = openSource({ path: pacedRecording(), speed: 1, clock })
    const [reader] = await openAll(source)
    await reader!.read(10)
    const waiting = reader!.read(10)
    await new Promise((resolve) => setImmediate(resolve))
    await reader!.close()
    expect(await waiting).toEqual({ kind: 'stop' })
    await source.close()
  })

  test('a wrong speed, or one without a clock, is a wrong program', () => {
    expect(() => recordingSource({ path: 'x', speed: 1 })).toThrow('needs a clock')
    expect(() => recordingSource({ path: 'x', speed: 0, clock: new FakeClock() })).toThrow(
      'not a positive number',
    )
  })
})

test('an opened source can be closed twice, and never opened too', async () => {
  const path = recordingOf(interleaved(1, 1))
  const source = openSource({ path })
  await source.close()
  const partitions: readonly SourcePartition[] = await source.partitions()
  expect(partitions).toHaveLength(1)
  await source.close()
  await source.close()
})
