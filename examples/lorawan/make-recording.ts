/**
 * Makes frames.avro from the data set (see SOURCE.md): `npx node examples/lorawan/make-recording.ts <stream.jsonl.gz>`.
 * The same data makes the same bytes.
 */
import { readFileSync } from 'node:fs'
import { readJsonLines } from '../../consumers/recording/json-lines.ts'
import { type FrameEncoder, frameEncoder } from '../../consumers/recording/make-recording.ts'
import { partitionOfKey } from '../../src/kafka/murmur2.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { FAULTS, type Report } from './faults.ts'

const TOPIC = 'frames'
const PARTITIONS = 3
/** From then on the network wrote schema 2. */
const SCHEMA_2_SINCE_MS = Date.parse('2022-07-01T00:00:00Z')

/** A line of stream.jsonl. */
interface Line {
  readonly seq: number
  readonly arrival_ms: number
  readonly event_ms: number
  readonly reported_ms: number
  readonly hold_ms: number
  readonly dev_eui: string
  readonly devaddr: string
  readonly fcnt: number
  readonly port: number
  readonly payload_size: number
  readonly hotspot: string
  readonly rssi: number
  readonly snr: number
  readonly spreading: string
  readonly frequency: number
  readonly lat: number
  readonly lon: number
  readonly temperature: number | null
}

const ENCODERS: Readonly<Record<1 | 2 | 3, FrameEncoder>> = {
  1: registered(1, '1-frame-v1.avsc'),
  2: registered(2, '2-frame-v2.avsc'),
  3: registered(3, '3-frame-text-rssi.avsc'),
}

export async function makeFrames(input: string, out: string): Promise<number> {
  const writer = createRecordingWriter(out, { codec: 'deflate' })
  const offsets = new Map<number, number>()
  const text = new TextEncoder()
  for await (const { text: json } of readJsonLines(input)) {
    const line = JSON.parse(json) as Line
    const key = text.encode(line.dev_eui)
    const partition = partitionOfKey(key, PARTITIONS)
    const append = (value: Uint8Array | null, injected: string | null) => {
      const offset = offsets.get(partition) ?? 0
      writer.append({
        topic: TOPIC,
        partition,
        offset,
        timestampMs: line.reported_ms,
        arrivalMs: line.arrival_ms,
        key,
        value,
        headers: injected === null ? [] : [{ key: 'injected', value: text.encode(injected) }],
      })
      offsets.set(partition, offset + 1)
    }
    const report = reportOf(line)
    append(encode(report, line.arrival_ms < SCHEMA_2_SINCE_MS ? 1 : 2), null)
    for (const fault of FAULTS) if (fault.after === line.seq) append(fault.value(report, encode), fault.name)
  }
  return writer.close().records
}

function encode(report: Report, schemaId: 1 | 2 | 3): Uint8Array {
  return ENCODERS[schemaId].encode(report)
}

function reportOf(line: Line): Report {
  return {
    receivedAt: line.event_ms,
    reportedAt: line.reported_ms,
    devEui: line.dev_eui,
    devAddr: line.devaddr,
    frameCounter: line.fcnt,
    port: line.port,
    payloadSize: line.payload_size,
    hotspot: line.hotspot,
    rssi: line.rssi,
    snr: line.snr,
    spreading: line.spreading,
    frequency: line.frequency,
    position: { lat: line.lat, lon: line.lon },
    temperature: line.temperature,
    holdMs: line.hold_ms,
  }
}

function registered(id: number, name: string): FrameEncoder {
  return frameEncoder(readFileSync(new URL(`registry/${name}`, import.meta.url), 'utf8'), name, id)
}

if (import.meta.main) {
  const [input] = process.argv.slice(2)
  if (input === undefined) throw new Error('usage: make-recording.ts <stream.jsonl.gz>')
  const out = new URL('frames.avro', import.meta.url).pathname
  console.log(`${await makeFrames(input, out)} records in ${out}`)
}
