import type { ReadResult, Source, SourcePartition } from '../../src/ports.ts'
import { rowsSource, type TestRecord } from '../../src/testing/rows-source.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'
import { WORLD } from './world.ts'

/** How the shards of a test are related, by number. */
export interface ShardLine {
  /** Of each that has some. */
  readonly parents: Readonly<Record<number, readonly number[]>>
  /** Left out of the list: they can be opened all the same. */
  readonly unlisted?: readonly number[]
}

/** What was asked of a source. */
export interface Opened {
  readonly id: string
  readonly position: string | null
  readonly parentPositions: readonly string[]
}

/** Records by shard. One that others follow is handed on to them after its last record; the others end. */
export function shardSource(
  program: PipelineSpec,
  records: readonly TestRecord[],
  { parents, unlisted = [] }: ShardLine,
  opened: Opened[] = [],
): Source {
  const inner = rowsSource(program, records).open(WORLD)
  const topic = program.source.name
  const idOf = (shard: number): string => `${topic}-${shard}`
  const lines = Object.entries(parents)
  const childrenOf = (shard: number): readonly string[] =>
    lines.filter(([, of]) => of.includes(shard)).map(([child]) => idOf(Number(child)))
  const partitionOf = (id: string): SourcePartition | null => {
    const shard = Number(id.slice(topic.length + 1))
    if (!id.startsWith(`${topic}-`) || Number.isNaN(shard)) return null
    return { id, topic, partition: shard, parents: (parents[shard] ?? []).map(idOf) }
  }
  return {
    description: 'shards of a test',
    isBacklog: false,
    async partitions() {
      const numbers = new Set(lines.flatMap(([child, of]) => [Number(child), ...of]))
      for (const { partition } of await inner.partitions()) numbers.add(partition)
      const listed = [...numbers].filter((shard) => !unlisted.includes(shard)).toSorted((a, b) => a - b)
      return listed.map((shard) => partitionOf(idOf(shard))!)
    },
    partitionOf,
    async open(partition, position, parentPositions = []) {
      opened.push({ id: partition.id, position, parentPositions })
      const reader = await inner.open(partition, position?.replace(/^\D+/, '') ?? null)
      const to = childrenOf(partition.partition)
      let place = position ?? '0'
      return {
        start: position === null ? 'at0' : undefined,
        async read(recordsMax): Promise<ReadResult> {
          const result = await reader.read(recordsMax)
          if (result.kind === 'records') place = result.batch.positionAfter(result.batch.count - 1)
          if (result.kind !== 'end' || to.length === 0) return result
          return { kind: 'handed-on', to, position: `end${place.replace(/^\D+/, '')}` }
        },
        close: () => reader.close(),
      }
    },
    close: () => inner.close(),
  }
}
