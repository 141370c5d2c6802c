import { Prng } from '../../src/testing/simulation/prng.ts'
import type { SimPartition } from '../../src/testing/simulation/sim-source.ts'
import { isResult } from '../../src/testing/simulation/verify-results.ts'
import type { OraclePartition, OracleRecord, Row } from '../../src/testing/oracle/oracle.ts'
import type { PipelineSpec, TableNode, TopicNode } from '../../src/topology/node.ts'
import { withMergeTraits } from './random-merge.ts'
import { randomPipeline } from './random-pipeline.ts'
import { withWindowTraits } from './random-windows.ts'
import { decodeReading, encodeReading, framed, SCHEMA_ID } from './reading-schema.ts'

/** A random input and a random pipeline over it. */
export interface Workload {
  readonly spec: PipelineSpec
  readonly partitions: readonly (SimPartition & OraclePartition)[]
}

/** A workload with what a Kafka adds to it. */
export interface KafkaWorkload extends Workload {
  readonly isShared: boolean
  readonly deadLetterTopic: string | null
  /** Ids of partitions that are added while the pipeline runs. */
  readonly added: ReadonlySet<string>
}

/** The workload of the seed, with outside topics and partitions that come later. */
export function kafkaWorkload(seed: number): KafkaWorkload {
  const random = new Prng(seed ^ 0x6b61fca)
  const { spec, partitions } = randomWorkload(seed)
  const results = spec.tables.flatMap(({ input }) => (isResult(input) ? [input] : []))
  const topics = results
    .filter(() => random.chance(0.6))
    .map((input, i): TopicNode => ({ kind: 'topic', name: `results_${i}`, input }))
  const inTopic = new Set<TableNode['input']>(topics.map(({ input }) => input))
  // Some results go to a topic alone.
  const tables = spec.tables.filter(({ input }) => !inTopic.has(input) || random.chance(0.7))
  const isShared = random.chance(0.75)
  return {
    spec: { ...spec, topics, tables: tables.length > 0 ? tables : spec.tables },
    partitions,
    isShared,
    deadLetterTopic: random.chance(0.7) ? 'letters' : null,
    added: isShared && random.chance(0.5) ? latePartitions(spec, partitions) : new Set(),
  }
}

/**
 * The last partition, where it may come late without changing a result: all its rows lie after those of the others, and its topic is
 * one that was there before. (Windows that the others have closed would else be missed, as in any Kafka.)
 */
function latePartitions(spec: PipelineSpec, partitions: Workload['partitions']): ReadonlySet<string> {
  const last = partitions.at(-1)
  const others = partitions.slice(0, -1)
  if (last === undefined || !others.some(({ topic }) => topic === last.topic)) return new Set()
  const timesOf = ({ records }: OraclePartition): number[] =>
    records.flatMap(({ decoded }) => {
      const value = decoded.kind === 'row' ? decoded.row[spec.source.eventTime ?? ''] : null
      if (typeof value === 'bigint') return [Number(value / 1000n)]
      return typeof value === 'number' ? [value] : []
    })
  const newestMs = Math.max(...others.flatMap(timesOf))
  return timesOf(last).every((timeMs) => timeMs > newestMs) ? new Set([last.id]) : new Set()
}

export function randomWorkload(seed: number): Workload {
  const random = new Prng(seed ^ 0x5eed)
  const plain = randomPipeline(random.fork())
  const windowed = withWindowTraits(new Prng(seed ^ 0x71de), plain)
  const spec = withMergeTraits(new Prng(seed ^ 0x3e26e), windowed)
  const partitionCount = random.pick([1, 1, 2, 2, 3])
  const recordsMax = random.pick([5, 20, 60, 120])
  const world = new InputWorld(random, spec)
  const topicCount = random.pick([1, 1, 1, 2])
  const partitions = Array.from({ length: partitionCount }, (_, index) => {
    const topic = index % topicCount === 0 ? 'readings' : 'old_readings'
    const partition = Math.floor(index / topicCount)
    return {
      id: `${topic}-${partition}`,
      topic,
      partition,
      records: world.records(random.integer(0, recordsMax)),
    }
  })
  return { spec, partitions }
}

const ARRIVAL_BASE_MS = 1_700_000_000_000
const HOUR_MS = 3_600_000
const FARES = [0.1, 0.2, 0.30000000000000004, 12.5, 1e16, 1, -1e16, 1e-300, -0, 0, 2 ** 53, 1e308, 3.3, -7.25]
const ZONES = ['a', 'b', 'c', 'ä', '', '\u{1F600}', '\uFFEE', 'north west', 'a=b/c%']

/** How the input of one workload looks. */
class InputWorld {
  readonly #random: Prng
  readonly #spec: PipelineSpec
  /** From arrival to event time, in milliseconds; some pipelines live before 1970. */
  readonly #shiftMs: number
  readonly #badShare: number
  readonly #idCount: number
  readonly #zoneCount: number
  readonly #stepMsMax: number
  readonly #delayMsMax: number
  readonly #lateShare: number
  /** Event times are multiples of it, so that they meet the ends of windows and horizons exactly. */
  readonly #gridMs: number

  constructor(random: Prng, spec: PipelineSpec) {
    this.#random = random
    this.#spec = spec
    this.#shiftMs = random.pick([0, 0, 0, -ARRIVAL_BASE_MS, -ARRIVAL_BASE_MS - 100 * HOUR_MS])
    this.#badShare = random.pick([0, 0.02, 0.1, 0.3])
    this.#idCount = random.pick([3, 10, 1000])
    this.#zoneCount = random.integer(1, ZONES.length)
    this.#stepMsMax = random.pick([50, 2_000, 20_000])
    this.#delayMsMax = random.pick([0, 1_000, 60_000])
    this.#lateShare = random.pick([0.02, 0.1, 0.1, 0.5])
    this.#gridMs = random.pick([1, 1, 250, 1_000, 5_000])
  }

  records(count: number): readonly OracleRecord[] {
    const random = this.#random
    const records: OracleRecord[] = []
    let arrivalMs = ARRIVAL_BASE_MS + random.integer(0, 60_000)
    let offset = random.pick([0, 0, 1000])
    // After an outage a partition sends what it has kept: its rows are older than those of the others.
    let backlog = { rows: 0, delayMs: 0 }
    for (let i = 0; i < count; i++) {
      const gapMs = random.chance(0.03) ? random.integer(0, HOUR_MS) : 0
      if (gapMs > 0 && random.chance(0.7)) backlog = { rows: random.integer(1, 10), delayMs: gapMs }
      arrivalMs += gapMs + random.integer(0, this.#stepMsMax)
      const row = this.#row(arrivalMs, backlog.rows-- > 0 ? backlog.delayMs : 0)
      records.push({
        offset,
        timestampMs: arrivalMs - random.integer(0, 50),
        arrivalMs,
        key: random.chance(0.2) ? null : new TextEncoder().encode(row['id'] as string),
        headers: random.chance(0.9) ? null : this.#headers(),
        ...(random.chance(this.#badShare) ? this.#badMessage(row) : this.#message(row)),
      })
      offset += random.chance(0.1) ? random.integer(2, 9) : 1
    }
    return records
  }

  #row(arrivalMs: number, backlogMs: number): Row {
    const random = this.#random
    const timeMs = this.#timeMs(arrivalMs, backlogMs)
    const nullable = <T>(value: T): T | null => (random.chance(0.15) ? null : value)
    return {
      id: `k${random.integer(1, this.#idCount)}`,
      zone: nullable(ZONES[random.integer(0, this.#zoneCount - 1)]!),
      level: random.chance(0.05) ? random.pick([-(2 ** 31), 2 ** 31 - 1]) : random.integer(-1, 9),
      distance: nullable(
        random.chance(0.1) ? 2n ** 53n + BigInt(random.bits()) : BigInt(random.integer(-50, 5000)),
      ),
      fare: random.chance(0.02) ? random.pick([Number.NaN, Infinity, -Infinity]) : random.pick(FARES),
      weight: nullable(random.chance(0.5) ? random.unit() * 10 ** random.integer(-20, 20) : -random.unit()),
      price: nullable({ unscaled: BigInt(random.integer(-100_000, 2_000_000)), scale: 2 }),
      open: random.chance(0.5),
      at: random.chance(0.05) ? null : timeMs,
      seen: BigInt(timeMs) * 1000n + BigInt(random.integer(0, 999)),
      note: random.chance(0.7) ? null : 'seen by a person',
    }
  }

  #timeMs(arrivalMs: number, backlogMs: number): number {
    const random = this.#random
    const latestMs = arrivalMs + (this.#spec.source.watermark?.futureLimitMs ?? 0)
    if (random.chance(0.02)) return latestMs + random.integer(1, 2 * HOUR_MS)
    if (random.chance(0.005)) return latestMs + random.integer(-1, 1)
    const delayMs = random.chance(this.#lateShare)
      ? random.integer(0, HOUR_MS)
      : random.integer(0, this.#delayMsMax)
    const timeMs = arrivalMs + this.#shiftMs - delayMs - random.integer(0, backlogMs)
    return Math.floor(timeMs / this.#gridMs) * this.#gridMs
  }

  #message(row: Row): Message {
    const distance = row['distance'] as bigint | null
    const old = this.#random.chance(0.3) && (distance === null || BigInt.asIntN(32, distance) === distance)
    const decoded = old ? { ...row, note: null } : row
    return {
      value: encodeReading(row, old),
      schemaId: old ? SCHEMA_ID.old : SCHEMA_ID.current,
      decoded: { kind: 'row', row: decoded },
    }
  }

  #badMessage(row: Row): Message {
    const random = this.#random
    const good = encodeReading(row, false)
    switch (random.integer(0, 7)) {
      case 0:
        return refused(null, null)
      case 1:
        return refused(new Uint8Array(0), null)
      case 2:
        return refused(good.slice(0, random.integer(1, 4)), null)
      case 3:
        return refused(good.slice(0, random.integer(5, good.length - 1)), SCHEMA_ID.current)
      case 4:
        return refused(framed(SCHEMA_ID.unknown, good.subarray(5)), SCHEMA_ID.unknown, 'unknown-schema')
      case 5:
        return refused(framed(SCHEMA_ID.other, good.subarray(5)), SCHEMA_ID.other, 'incompatible-schema')
      case 6:
        return refused(new TextEncoder().encode('{"id":"k1"}'), null)
      default: {
        const flipped = good.slice()
        flipped[random.integer(5, good.length - 1)]! ^= 1 << random.integer(0, 7)
        const decoded = decodeReading(flipped)
        if (decoded === null) return refused(flipped, SCHEMA_ID.current)
        if (!isPlain(decoded, flipped)) return this.#message(row)
        return { value: flipped, schemaId: SCHEMA_ID.current, decoded: { kind: 'row', row: decoded } }
      }
    }
  }

  #headers(): OracleRecord['headers'] {
    const random = this.#random
    return Array.from({ length: random.integer(0, 2) }, () => ({
      key: random.pick(['trace', 'origin', '']),
      value: random.chance(0.2) ? null : Uint8Array.of(random.integer(0, 255)),
    }))
  }
}

type Message = Pick<OracleRecord, 'value' | 'decoded' | 'schemaId'>

function refused(
  value: Uint8Array | null,
  schemaId: number | null,
  reason: 'undecodable' | 'unknown-schema' | 'incompatible-schema' = 'undecodable',
): Message {
  return { value, schemaId, decoded: { kind: 'refused', reason } }
}

/** False where ours is stricter than avsc: a boolean of 6, an int of 33 bits. Of these the decoder's own tests speak. */
function isPlain(row: Row, message: Uint8Array): boolean {
  try {
    return Buffer.compare(encodeReading(row, false), message) === 0
  } catch {
    return false
  }
}
