/**
 * Makes events.avro from what generator/Generate.java writes (see SOURCE.md):
 * `npx node examples/nexmark/make-recording.ts <events.jsonl>`. The same lines make the same bytes.
 */
import { readFileSync } from 'node:fs'
import { readJsonLines } from '../../consumers/recording/json-lines.ts'
import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { partitionOfKey } from '../../src/kafka/murmur2.ts'

const TOPIC = 'events'
const PARTITIONS = 4
/** From an event's turn to its arrival. Longer than a group of shuffled events, so that no event comes before its time. */
const TRANSIT_MS = 1_000

/** A line of the generator: the event, and when it was its turn. */
interface Line {
  readonly at: number
  readonly emittedAt: number
  readonly person: { readonly id: number } | null
  readonly auction: { readonly id: number } | null
  readonly bid: { readonly auction: number } | null
}

export async function makeEvents(input: string, out: string): Promise<number> {
  const schema = readFileSync(new URL('registry/1-event.avsc', import.meta.url), 'utf8')
  const encoder = frameEncoder(schema, '1-event.avsc', 1)
  const writer = createRecordingWriter(out, { codec: 'deflate' })
  const nextOffset = Array.from({ length: PARTITIONS }, () => 0)
  for await (const { text } of readJsonLines(input)) {
    const { emittedAt, ...event } = JSON.parse(text) as Line
    const key = new TextEncoder().encode(keyOf(event))
    const partition = partitionOfKey(key, PARTITIONS)
    const offset = nextOffset[partition]!
    nextOffset[partition] = offset + 1
    writer.append({
      topic: TOPIC,
      partition,
      offset,
      timestampMs: emittedAt,
      arrivalMs: emittedAt + TRANSIT_MS,
      key,
      value: encoder.encode(event),
      headers: [],
    })
  }
  return writer.close().records
}

/** Bids go where their auction goes. */
function keyOf({ person, auction, bid }: Omit<Line, 'emittedAt'>): string {
  return person === null ? `auction ${bid === null ? auction!.id : bid.auction}` : `person ${person.id}`
}

if (import.meta.main) {
  const [input] = process.argv.slice(2)
  if (input === undefined) throw new Error('usage: make-recording.ts <events.jsonl>')
  const out = new URL('events.avro', import.meta.url).pathname
  console.log(`${await makeEvents(input, out)} records in ${out}`)
}
