import { bronze, pipeline, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import type { Outbox, Source } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { Reading, reading } from '../support/reading.ts'
import { SILENT, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading)
const program = pipeline({ name: 'loop', tables: [bronze('readings', readings)], circuitBreaker: false })

function sourceOf(clusterId: string): Source {
  const inner = rowsSource(program, [reading(1)]).open(WORLD)
  return {
    description: inner.description,
    clusterId,
    partitions: () => inner.partitions(),
    open: (partition, position) => inner.open(partition, position),
    close: () => inner.close(),
  }
}

/** Opens; whoever claims it has come too far. */
const outboxOn = (clusterId: string): Outbox => ({
  description: 'a cluster',
  messageBytesMax: 1_000_000,
  open: async () => [],
  clusterId: async () => clusterId,
  claim: () => Promise.reject(new Error('claimed')),
  close: async () => {},
})

async function start(source: Source, topic: string, outbox: Outbox): Promise<unknown> {
  const lake = memoryStore()
  return runPipeline(program, {
    source,
    registry: rowsSource(program, []).registry,
    lake,
    format: deltaFormat(lake, rowEncoder),
    clock: WORLD.clock,
    entropy: WORLD.entropy,
    log: SILENT,
    flush: { rowsMax: 10, bytesMax: 1e6, everyMs: null, batchRecordsMax: 10 },
    deadLetters: { outbox, topic },
    fresh: false,
    signal: null,
    onProgress: null,
  })
}

describe('a dead-letter topic', () => {
  it('that the pipeline reads is refused before anything is claimed', async () => {
    await expect(start(sourceOf('c1'), 'readings', outboxOn('c1'))).rejects.toMatchObject({
      code: 'TOPIC_LOOP',
    })
  })

  it.each([
    ['of the same name on another cluster', 'readings', 'c2'],
    ['of another name', 'readings.dead-letters', 'c1'],
  ])('%s is not', async (_, topic, clusterId) => {
    await expect(start(sourceOf('c1'), topic, outboxOn(clusterId))).rejects.toThrow('claimed')
  })
})
