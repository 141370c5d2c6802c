import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  beginOf,
  decideRoots,
  readShards,
  type ReadShard,
  type Roots,
  type StreamStart,
} from '../../../consumers/kinesis/lineage.ts'
import type { ShardFacts } from '../../../src/kinesis/api.ts'

const KEYS = 16

interface ModelRecord {
  readonly sequence: number
  readonly atMs: number
  readonly key: number
}

interface ModelShard {
  readonly shardId: string
  readonly number: number
  readonly parents: readonly string[]
  /** Of keys: [first, end). */
  readonly first: number
  readonly end: number
  readonly records: ModelRecord[]
  isClosed: boolean
  isListed: boolean
}

/** A stream that is split, merged and written to. Each step takes a millisecond. */
class ModelStream {
  readonly shards: ModelShard[] = []
  nowMs = 1_000

  constructor() {
    this.#add([], 0, KEYS / 2)
    this.#add([], KEYS / 2, KEYS)
  }

  step(choice: number): void {
    this.nowMs++
    const open = this.shards.filter(({ isClosed }) => !isClosed).sort((a, b) => a.first - b.first)
    const at = (choice >> 3) % open.length
    const [one, next] = [open[at]!, open[at + 1]]
    if (choice % 8 === 0 && one.end - one.first > 1) {
      const middle = (one.first + one.end) >> 1
      one.isClosed = true
      this.#add([one.shardId], one.first, middle)
      this.#add([one.shardId], middle, one.end)
    } else if (choice % 8 === 1 && next !== undefined) {
      one.isClosed = true
      next.isClosed = true
      this.#add([one.shardId, next.shardId], one.first, next.end)
    } else if (choice % 8 === 2) {
      // The oldest that is closed is so old that Kinesis forgets it.
      const oldest = this.shards.find(({ isClosed, isListed }) => isClosed && isListed)
      if (oldest !== undefined) oldest.isListed = false
    } else this.#put(choice)
  }

  facts(): readonly ShardFacts[] {
    return this.shards
      .filter(({ isListed }) => isListed)
      .map(({ shardId, parents, isClosed, first, end }) => ({
        shardId,
        parents,
        isClosed,
        startingSequenceNumber: '0',
        hashKeyStart: String(first),
        hashKeyEnd: String(end - 1),
      }))
  }

  shard(shardId: string): ModelShard {
    return this.shards.find((shard) => shard.shardId === shardId)!
  }

  #put(choice: number): void {
    const key = (choice >> 4) % KEYS
    const shard = this.shards.find(({ isClosed, first, end }) => !isClosed && first <= key && key < end)!
    shard.records.push({ sequence: this.nowMs, atMs: this.nowMs, key })
  }

  #add(parents: readonly string[], first: number, end: number): void {
    const number = this.shards.length
    const shardId = `shardId-${String(number).padStart(12, '0')}`
    this.shards.push({ shardId, number, parents, first, end, records: [], isClosed: false, isListed: true })
  }
}

/** Reads what a pipeline reads, shard by shard, each after its parents; among those that are due, as `choices` say. */
class ModelReader {
  readonly read: ModelRecord[] = []
  /** By shard: how many records have been read, counted from its first. */
  readonly progress = new Map<string, number>()
  readonly ended = new Set<string>()

  run(stream: ModelStream, roots: Roots, choices: readonly number[], known: ReadonlySet<string>): void {
    const heard = new Set([...known, ...this.progress.keys()])
    const there = readShards(roots, stream.facts(), heard)
    const waiting = [...there, ...[...known].map((shardId) => ({ shardId, parents: [] }))]
    for (const choice of choices) {
      const due = waiting.filter((shard) => this.#isDue(shard) && this.#isBusy(stream, roots, shard))
      if (due.length === 0) return
      this.#readOne(stream, roots, due[choice % due.length]!.shardId)
    }
  }

  #isDue({ shardId, parents }: ReadShard): boolean {
    return !this.ended.has(shardId) && parents.every((parent) => this.ended.has(parent))
  }

  #isBusy(stream: ModelStream, roots: Roots, { shardId }: ReadShard): boolean {
    const { records, isClosed } = stream.shard(shardId)
    return isClosed || (this.progress.get(shardId) ?? this.#firstOf(roots, shardId, records)) < records.length
  }

  #readOne(stream: ModelStream, roots: Roots, shardId: string): void {
    const { records, isClosed } = stream.shard(shardId)
    const next = this.progress.get(shardId) ?? this.#firstOf(roots, shardId, records)
    this.progress.set(shardId, next)
    const record = records[next]
    if (record !== undefined) {
      this.read.push(record)
      this.progress.set(shardId, next + 1)
    } else if (isClosed) this.ended.add(shardId)
  }

  #firstOf(roots: Roots, shardId: string, records: readonly ModelRecord[]): number {
    const place = beginOf(roots, shardId)
    const isBefore = ({ atMs, sequence }: ModelRecord): boolean => {
      if (place.kind === 'time') return atMs < place.timeMs
      return place.kind === 'at' && sequence < Number(place.sequenceNumber)
    }
    return records.filter(isBefore).length
  }
}

const steps = fc.array(fc.nat(1_023), { maxLength: 60 })
const choices = fc.array(fc.nat(1_023), { minLength: 300, maxLength: 300 })
const NONE: ReadonlySet<string> = new Set()

/** Nothing twice, and the records of each key in their order. */
function expectInOrder(read: readonly ModelRecord[]): void {
  for (let key = 0; key < KEYS; key++) {
    const sequences = read.filter((record) => record.key === key).map(({ sequence }) => sequence)
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b))
  }
}

function sorted(records: readonly ModelRecord[]): readonly ModelRecord[] {
  return [...records].sort((a, b) => a.sequence - b.sequence)
}

function decide(stream: ModelStream, from: StreamStart, known = NONE): Roots {
  return decideRoots({
    stream: 'trips',
    createdMs: 1,
    shards: stream.facts(),
    from,
    known,
    nowMs: stream.nowMs,
  })
}

function streamOf(before: readonly number[]): ModelStream {
  const stream = new ModelStream()
  for (const choice of before) stream.step(choice)
  return stream
}

function follow(
  stream: ModelStream,
  roots: Roots,
  after: readonly number[],
  turns: readonly number[],
): ModelReader {
  const reader = new ModelReader()
  const share = Math.floor(turns.length / 2 / Math.max(1, after.length))
  // Shards that are read come and go meanwhile; only those that have ended are forgotten.
  after.forEach((choice, index) => {
    if (choice % 8 !== 2) stream.step(choice)
    reader.run(stream, roots, turns.slice(index * share, (index + 1) * share), NONE)
  })
  reader.run(stream, roots, [...turns, ...turns], NONE)
  return reader
}

describe('a pipeline reads each record once, and a key in its order, whatever the reshards before and after its start', () => {
  it("from 'earliest': all that was there", () => {
    fc.assert(
      fc.property(steps, steps, choices, (before, after, turns) => {
        const stream = streamOf(before)
        const gone = stream.shards.filter(({ isListed }) => !isListed)
        const { read } = follow(stream, decide(stream, 'earliest'), after, turns)
        expectInOrder(read)
        const there = stream.shards.filter((shard) => !gone.includes(shard))
        expect(sorted(read)).toEqual(sorted(there.flatMap(({ records }) => records)))
      }),
    )
  })

  it("from 'latest': all that comes, also what comes between the list of the shards and the moment", () => {
    fc.assert(
      fc.property(steps, steps, steps, choices, (before, between, after, turns) => {
        const stream = streamOf(before)
        const shards = stream.facts()
        for (const choice of between) if (choice % 8 !== 2) stream.step(choice)
        const { nowMs } = stream
        const roots = decideRoots({
          stream: 'trips',
          createdMs: 1,
          shards,
          from: 'latest',
          known: NONE,
          nowMs,
        })
        const { read } = follow(stream, roots, after, turns)
        expectInOrder(read)
        const isNew = ({ atMs }: ModelRecord): boolean => atMs >= nowMs
        const all = stream.shards.flatMap(({ records }) => records)
        expect(sorted(read.filter(isNew))).toEqual(sorted(all.filter(isNew)))
        // What is older is in shards that were not listed yet, which are read from their beginning.
        const listed = new Set(shards.map(({ shardId }) => shardId))
        for (const record of read.filter((old) => !isNew(old))) {
          expect(
            stream.shards.some((shard) => shard.records.includes(record) && !listed.has(shard.shardId)),
          ).toBe(true)
        }
      }),
    )
  })

  it('from a time: all that came then and later', () => {
    fc.assert(
      fc.property(steps, fc.nat(60), steps, choices, (before, ago, after, turns) => {
        const stream = streamOf(before)
        const gone = stream.shards.filter(({ isListed }) => !isListed)
        const fromMs = stream.nowMs - ago
        const { read } = follow(stream, decide(stream, new Date(fromMs)), after, turns)
        expectInOrder(read)
        const there = stream.shards.filter((shard) => !gone.includes(shard))
        expect(sorted(read)).toEqual(
          sorted(there.flatMap(({ records }) => records).filter(({ atMs }) => atMs >= fromMs)),
        )
      }),
    )
  })

  it('from sequence numbers: of these shards from there, nothing of those before them, all of the rest', () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(), steps, choices, (before, pick, from, after, turns) => {
        const stream = streamOf(before)
        const listed = stream.shards.filter(({ isListed }) => isListed)
        const there = new Set(listed)
        const count = stream.shards.length
        const named = listed[pick % listed.length]!
        const first = named.records[from % Math.max(1, named.records.length)]?.sequence ?? 0
        const roots = decide(stream, { sequenceNumbers: { [named.shardId]: String(first) } })
        const { read } = follow(stream, roots, after, turns)
        expectInOrder(read)
        const isBefore = (id: string, { parents }: ModelShard): boolean =>
          parents.some((parent) => parent === id || isBefore(id, stream.shard(parent)))
        const expected = stream.shards
          .filter((shard) => there.has(shard) || shard.number >= count)
          .filter(({ shardId }) => !isBefore(shardId, named))
          .flatMap((shard) => shard.records.filter(({ sequence }) => shard !== named || sequence >= first))
        expect(sorted(read)).toEqual(sorted(expected))
      }),
    )
  })

  it('that goes on in another incarnation: what follows the shards that it has read in, and those, whatever it is to begin with', () => {
    fc.assert(
      fc.property(
        steps,
        steps,
        choices,
        fc.constantFrom<StreamStart>('latest', 'earliest'),
        (before, after, turns, from) => {
          const stream = streamOf(before)
          const { nowMs } = stream
          const reader = new ModelReader()
          // All that are open have been begun: nothing stands between them and what comes.
          const known = new Set(
            stream.shards.filter(({ isClosed }) => !isClosed).map(({ shardId }) => shardId),
          )
          for (const shardId of known) reader.progress.set(shardId, stream.shard(shardId).records.length)
          for (const choice of after) if (choice % 8 !== 2) stream.step(choice)
          const roots = decide(stream, from, known)
          reader.run(stream, roots, turns, known)
          const isNew = ({ atMs }: ModelRecord): boolean => atMs > nowMs
          const all = stream.shards.flatMap(({ records }) => records)
          expectInOrder(reader.read.filter(isNew))
          expect(sorted(reader.read.filter(isNew))).toEqual(sorted(all.filter(isNew)))
        },
      ),
    )
  })
})

describe('where a pipeline begins', () => {
  const facts = {
    stream: 'trips',
    createdMs: 1,
    shards: new ModelStream().facts(),
    known: NONE,
    nowMs: Date.UTC(2026, 10, 23),
  }

  it('is no shard that the stream does not have', () => {
    const from = { sequenceNumbers: { 'shardId-000000000007': '1' } }
    expect(() => decideRoots({ ...facts, from })).toThrow(
      'kinesis(): from names shardId-000000000007, which stream trips does not have',
    )
  })

  it('is no time that is still to come', () => {
    const from = new Date(facts.nowMs + 3_600_000)
    expect(() => decideRoots({ ...facts, from })).toThrow('which is still to come')
  })

  it('keeps those that were to be read and have gone since, unless they were read in', () => {
    const roots = decideRoots({ ...facts, from: 'earliest' })
    const ids = (known: ReadonlySet<string>): readonly string[] =>
      readShards(roots, facts.shards.slice(1), known).map(({ shardId }) => shardId)
    expect(ids(NONE)).toEqual(['shardId-000000000001', 'shardId-000000000000'])
    expect(ids(new Set(['shardId-000000000000']))).toEqual(['shardId-000000000001'])
  })
})
