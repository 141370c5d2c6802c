import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import avsc from 'avsc'
import { type ReplayResult, replay } from 'millrace/testing'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { FAULTS } from '../../examples/lorawan/faults.ts'
import lorawan from '../../examples/lorawan/lorawan.ts'
import { makeFrames } from '../../examples/lorawan/make-recording.ts'

const EXAMPLE = new URL('../../examples/lorawan/', import.meta.url).pathname
const RECORDING = join(EXAMPLE, 'frames.avro')

interface RawFrame {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly arrival: number
  readonly key: Buffer
  readonly value: Buffer | null
  readonly headers: readonly { readonly key: string; readonly value: Buffer }[]
}

/** As avsc decodes either schema version. */
interface Frame {
  readonly receivedAt: number
  readonly reportedAt: number
  readonly devEui: string
  readonly devAddr: string
  readonly frameCounter: number
  readonly port: number
  readonly payloadSize: number
  readonly hotspot: string
  readonly rssi: number
  readonly snr: number
  readonly spreading: string
  readonly frequency: number
  readonly position: { readonly lat: number; readonly lon: number }
  readonly temperature: number | null
}

let raw: readonly RawFrame[] = []
let result: ReplayResult
let natural: readonly (RawFrame & { readonly frame: Frame })[] = []

beforeAll(async () => {
  const types = [1, 2].map((id) => {
    const schema = readFileSync(join(EXAMPLE, 'registry', `${id}-frame-v${id}.avsc`), 'utf8')
    return avsc.Type.forSchema(JSON.parse(schema))
  })
  raw = await decodedWithAvsc(RECORDING)
  result = await replay(lorawan, { recording: RECORDING })
  natural = raw
    .filter(({ headers }) => headers.length === 0)
    .map((record) => {
      const type = types[record.value!.readInt32BE(1) - 1]!
      return { ...record, frame: type.decode(record.value!, 5).value as Frame }
    })
})

async function decodedWithAvsc(path: string): Promise<RawFrame[]> {
  const records: RawFrame[] = []
  await new Promise<void>((resolve, reject) => {
    avsc
      .createFileDecoder(path)
      .on('data', (record: RawFrame) => records.push(record))
      .on('end', () => resolve())
      .on('error', reject)
  })
  return records
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

interface Pane {
  readonly key: string | number
  readonly startMs: number
  readonly frames: Frame[]
}

/** The program as a person would compute it: one frame after the other, no columns, no epochs. */
class Oracle {
  readonly clean: Frame[] = []
  readonly deviceHours = new Map<string, Pane>()
  readonly spreadingDays = new Map<string, Pane>()
  readonly late: { readonly stage: string; readonly partition: number; readonly offset: number }[] = []
  readonly #newestMs = new Map<number, number>()
  readonly #kept = new Map<string, number>()

  add({ partition, offset, frame }: RawFrame & { readonly frame: Frame }): void {
    const timeMs = frame.receivedAt
    const newestMs = this.#newestMs.get(partition) ?? Number.NEGATIVE_INFINITY
    const watermarkMs = newestMs - HOUR_MS / 4
    this.#newestMs.set(partition, Math.max(newestMs, timeMs))

    const name = `${frame.devEui} ${frame.devAddr} ${frame.frameCounter}`
    const keptMs = this.#kept.get(name) ?? Number.NEGATIVE_INFINITY
    if (Math.abs(timeMs - keptMs) < HOUR_MS && watermarkMs < keptMs + HOUR_MS) return
    this.#kept.set(name, Math.max(keptMs, timeMs))
    this.clean.push(frame)

    const factor = Number(frame.spreading.slice(2, frame.spreading.indexOf('BW')))
    const windows = [
      ['device_hours', this.deviceHours, frame.devEui, HOUR_MS, HOUR_MS / 2],
      ['spreading_days', this.spreadingDays, factor, DAY_MS, HOUR_MS],
    ] as const
    for (const [stage, panes, key, sizeMs, latenessMs] of windows) {
      const startMs = Math.floor(timeMs / sizeMs) * sizeMs
      if (watermarkMs >= startMs + sizeMs + latenessMs) {
        this.late.push({ stage, partition, offset })
        continue
      }
      const pane = panes.get(`${key} ${startMs}`)
      if (pane === undefined) panes.set(`${key} ${startMs}`, { key, startMs, frames: [frame] })
      else pane.frames.push(frame)
    }
  }
}

// A sum of these is exact: signal strengths are integers, and ratios were 32-bit floats.
function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function extremes(values: readonly (number | null)[]): readonly [number | null, number | null] {
  const present = values.filter((value) => value !== null)
  return present.length === 0 ? [null, null] : [Math.min(...present), Math.max(...present)]
}

function byKeyAndWindow(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): number {
  return windowName(a) < windowName(b) ? -1 : 1
}

function windowName(row: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([row['key'], row['window_start']])
}

function isoText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

describe('the replay', () => {
  test('gives what a naive program gives', () => {
    const oracle = new Oracle()
    for (const record of natural) oracle.add(record)

    const hours = result.rows('gold/device_hours').map(({ devEui, ...row }) => ({ key: devEui, ...row }))
    const expectedHours = [...oracle.deviceHours.values()].map(({ key, startMs, frames }) => {
      const [minTemperature, maxTemperature] = extremes(frames.map((frame) => frame.temperature))
      return {
        key,
        window_start: isoText(startMs),
        window_end: isoText(startMs + HOUR_MS),
        frames: frames.length,
        avgRssi: average(frames.map((frame) => frame.rssi)),
        maxSnr: Math.max(...frames.map((frame) => frame.snr)),
        minTemperature,
        maxTemperature,
        revision: 0,
      }
    })
    expect(hours.sort(byKeyAndWindow)).toEqual(expectedHours.sort(byKeyAndWindow))

    const days = result
      .rows('gold/spreading_days')
      .map(({ spreadingFactor, ...row }) => ({ key: spreadingFactor, ...row }))
    const expectedDays = [...oracle.spreadingDays.values()].map(({ key, startMs, frames }) => ({
      key,
      window_start: isoText(startMs),
      window_end: isoText(startMs + DAY_MS),
      frames: frames.length,
      avgRssi: average(frames.map((frame) => frame.rssi)),
      avgSnr: average(frames.map((frame) => frame.snr)),
      longestHeldSeconds: Math.max(...frames.map((frame) => (frame.reportedAt - frame.receivedAt) / 1000)),
      revision: 0,
    }))
    expect(days.sort(byKeyAndWindow)).toEqual(expectedDays.sort(byKeyAndWindow))

    // The frame from 1969 is clean too, but late.
    expect(result.rows('silver/frames')).toHaveLength(oracle.clean.length + 1)
    // Natural frames, and the faults that can be decoded: two implausible ones, 2099, 1969, FSK.
    expect(result.rows('bronze/frames')).toHaveLength(natural.length + 5)
    expect(deadLettersOf(result.rows('dead_letters'))).toEqual(expectedDeadLetters(oracle))
  })

  test('is the same with other epochs and batches', async () => {
    const odd = await replay(lorawan, { recording: RECORDING, epochRows: 1_777, batchRecords: 61 })
    expect(odd.tables).toEqual(result.tables)
    for (const table of result.tables) expect(odd.text(table) === result.text(table), table).toBe(true)
  })
})

/** What the README says becomes of each fault. */
const OUTCOMES: Readonly<Record<string, readonly [reason: string, stage: string][]>> = {
  tombstone: [['undecodable', 'decode']],
  empty: [['undecodable', 'decode']],
  truncated: [['undecodable', 'decode']],
  'bytes left over': [['undecodable', 'decode']],
  'string of a gigabyte': [['undecodable', 'decode']],
  'not UTF-8': [['undecodable', 'decode']],
  'symbol out of range': [['undecodable', 'decode']],
  'JSON instead of Avro': [['undecodable', 'decode']],
  'frame header cut': [['undecodable', 'decode']],
  'unknown schema': [['unknown-schema', 'decode']],
  'incompatible schema': [['incompatible-schema', 'decode']],
  'rssi above zero': [['invalid', 'plausible']],
  'hotter than any sensor': [['invalid', 'plausible']],
  'clock in 2099': [['future', 'event-time']],
  'clock before 1970': [
    ['late', 'device_hours'],
    ['late', 'spreading_days'],
  ],
  'FSK, which the program throws at': [['processing', 'clean']],
}

function deadLettersOf(rows: readonly Readonly<Record<string, unknown>>[]): string[] {
  return rows.map((row) => [row['_partition'], row['_offset'], row['reason'], row['stage']].join(' ')).sort()
}

function expectedDeadLetters(oracle: Oracle): string[] {
  const injected = raw.flatMap(({ partition, offset, headers }) =>
    headers.flatMap(({ value }) =>
      OUTCOMES[value.toString()]!.map(([reason, stage]) => [partition, offset, reason, stage].join(' ')),
    ),
  )
  const late = oracle.late.map(({ stage, partition, offset }) => [partition, offset, 'late', stage].join(' '))
  return [...injected, ...late].sort()
}

describe('the recording', () => {
  test('has every fault once, named in a header, in a place of its own', () => {
    const found = raw.flatMap(({ headers }) => headers.map(({ key, value }) => `${key}: ${value.toString()}`))
    expect(found).toEqual(FAULTS.map(({ name }) => `injected: ${name}`))
    expect(Object.keys(OUTCOMES)).toEqual(FAULTS.map(({ name }) => name))
    expect(natural).toHaveLength(38_537)
  })

  test('is what its script makes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-lorawan-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const lines = natural.map(({ arrival, frame }, seq) =>
      JSON.stringify({
        seq,
        arrival_ms: arrival,
        event_ms: frame.receivedAt,
        reported_ms: frame.reportedAt,
        hold_ms: frame.reportedAt - frame.receivedAt,
        dev_eui: frame.devEui,
        devaddr: frame.devAddr,
        fcnt: frame.frameCounter,
        port: frame.port,
        payload_size: frame.payloadSize,
        hotspot: frame.hotspot,
        rssi: frame.rssi,
        snr: frame.snr,
        spreading: frame.spreading,
        frequency: frame.frequency,
        lat: frame.position.lat,
        lon: frame.position.lon,
        temperature: frame.temperature,
      }),
    )
    writeFileSync(join(folder, 'stream.jsonl'), lines.join('\n'))
    await makeFrames(join(folder, 'stream.jsonl'), join(folder, 'frames.avro'))
    // Record by record, because another zlib may compress to other bytes.
    const made = await decodedWithAvsc(join(folder, 'frames.avro'))
    expect(made.length).toBe(raw.length)
    expect(made.findIndex((record, index) => JSON.stringify(record) !== JSON.stringify(raw[index]))).toBe(-1)
  })

  test('comes with its source and licence', () => {
    expect(readFileSync(join(EXAMPLE, 'SOURCE.md'), 'utf8')).toContain('CampusIoT')
    expect(readFileSync(join(EXAMPLE, 'LICENSE-DATA.txt'), 'utf8')).toContain('ODbL-1.0')
  })
})
