import { Prng } from '../../src/testing/simulation/prng.ts'
import type { SimPartition } from '../../src/testing/simulation/sim-source.ts'
import type { OraclePartition, OracleRecord } from '../../src/testing/oracle/oracle.ts'
import { kafkaWorkload, type KafkaWorkload } from './workload.ts'

/** A workload over shards that are split and merged in mid-stream. */
export interface ShardWorkload extends KafkaWorkload {
  /** With which reshard each shard comes; 0 are there from the beginning. */
  readonly reshards: ReadonlyMap<string, number>
  /** Lists leave out shards that have ended. No start may need them again: none begins a new incarnation. */
  readonly forgetsShards: boolean
  readonly byLeases: boolean
}

interface Shard {
  readonly number: number
  /** Of hash keys: [from, to) within [0, 1). */
  readonly from: number
  readonly to: number
  readonly reshard: number
  readonly parents: readonly Shard[]
  readonly records: OracleRecord[]
  readonly children: Shard[]
  /** Records are counted along the line of shards. */
  nextOffset: number
}

const TOPIC = 'readings'

/** The records of the seed's world with a Kafka, in the order of their arrival, each in the shard that has its key by then. */
export function shardWorkload(seed: number): ShardWorkload {
  const random = new Prng(seed ^ 0x5a4d)
  const base = kafkaWorkload(seed)
  const records = base.partitions.flatMap((partition) => partition.records)
  const shards = shardsOf(
    random,
    records.toSorted((a, b) => a.arrivalMs - b.arrivalMs),
  )
  const children = shards.filter(({ reshard }) => reshard > 0).map(idOf)
  return {
    ...base,
    partitions: shards.map(partitionOf),
    isShared: random.chance(0.8),
    added: new Set(children),
    reshards: new Map(shards.map((shard) => [idOf(shard), shard.reshard])),
    forgetsShards: random.chance(0.5),
    byLeases: random.chance(0.5),
  }
}

function shardsOf(random: Prng, records: readonly OracleRecord[]): readonly Shard[] {
  const all: Shard[] = []
  const open = (from: number, to: number, reshard: number, parents: readonly Shard[]): void => {
    const nextOffset = Math.max(0, ...parents.map((parent) => parent.nextOffset))
    const shard = { number: all.length, from, to, reshard, parents, records: [], children: [], nextOffset }
    for (const parent of parents) parent.children.push(shard)
    all.push(shard)
  }
  const isOpen = ({ children }: Shard): boolean => children.length === 0
  const count = random.pick([1, 1, 2])
  for (let i = 0; i < count; i++) open(i / count, (i + 1) / count, 0, [])
  const at = Array.from({ length: random.integer(1, 4) }, () => random.integer(0, records.length))
  at.sort((a, b) => a - b)
  for (const [index, record] of [...records, null].entries()) {
    for (const [reshard, place] of at.entries()) {
      if (place !== index) continue
      const line = all.filter(isOpen).toSorted((a, b) => a.from - b.from)
      const left = random.integer(0, line.length - 1)
      const shard = line[left]!
      const next = line[left + 1]
      if (next !== undefined && random.chance(0.6)) open(shard.from, next.to, reshard + 1, [shard, next])
      else {
        const middle = (shard.from + shard.to) / 2
        open(shard.from, middle, reshard + 1, [shard])
        open(middle, shard.to, reshard + 1, [shard])
      }
    }
    if (record === null) break
    const hash = hashOf(record, index)
    const shard = all.find((one) => isOpen(one) && one.from <= hash && hash < one.to)!
    shard.records.push({ ...record, offset: shard.nextOffset++ })
  }
  return all
}

function partitionOf(shard: Shard): SimPartition & OraclePartition {
  const { number, parents, children, records } = shard
  return {
    id: idOf(shard),
    topic: TOPIC,
    partition: number,
    parents: parents.map(idOf),
    ...(children.length === 0 ? {} : { children: children.map(idOf) }),
    records,
  }
}

function idOf({ number }: Shard): string {
  return `${TOPIC}-${number}`
}

/** In [0, 1), the same for all records of a key. Those without one go anywhere. (FNV-1a.) */
function hashOf({ key }: OracleRecord, index: number): number {
  let hash = 0x811c9dc5
  for (const byte of key ?? [index & 255, index >> 8]) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
  return hash / 2 ** 32
}
