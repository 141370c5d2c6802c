import { SchemaRegistry as KafkajsRegistry } from '@kafkajs/confluent-schema-registry'
import { boundedOutOfOrderness, bronze, gold, millis, pipeline, stream, topic, tumbling } from 'millrace'
import { describe, expect, test } from 'vitest'
import { confluentRegistry } from '../../consumers/registry/index.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { deadLetterTopic } from '../../sinks/dead-letter-topic.ts'
import { kafkaTopics } from '../../sinks/topic/index.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { systemEntropy } from '../../src/runtime/system.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'
import { rowsSource, type TestRecord } from '../../src/testing/rows-source.ts'
import { createTopic, findKafka } from '../parts/kafka.ts'
import { findRegistry } from '../parts/registry.ts'
import { readCommitted, uniqueName } from '../sinks/topic/outbox-kit.ts'
import { Reading, reading } from '../support/reading.ts'
import { rowsIn, WORLD } from '../support/world.ts'

const kafka = await findKafka()
const registry = await findRegistry()

describe.skipIf(kafka.kind === 'missing' || registry.kind === 'missing')('a pipeline with topics', () => {
  const brokers = kafka.kind === 'ready' ? [kafka.brokers] : []
  const url = registry.kind === 'ready' ? registry.url : ''

  test('writes its results and dead letters there, each once, however often it is stopped and started', async () => {
    const results = uniqueName('zone-minutes')
    const dead = uniqueName('dead')
    for (const name of [results, dead]) await createTopic(brokers[0]!, name, { partitions: 2 })
    const readings = stream('readings', Reading, {
      eventTime: 'at',
      watermark: boundedOutOfOrderness(millis(5)),
    })
    const counts = readings
      .keyBy('sensor')
      .window(tumbling(millis(10)), { allowedLateness: millis(0), late: 'drop' })
      .aggregate('counts', ({ count, sum }) => ({ rows: count(), total: sum('value') }))
    const program = pipeline({
      name: uniqueName('topics').replaceAll('-', '_'),
      tables: [bronze('readings', readings), gold('counts', counts)],
      topics: [topic(results, counts)],
      circuitBreaker: false,
    })
    const records = Array.from(
      { length: 300 },
      (_, i): TestRecord =>
        i % 10 === 3
          ? { value: new TextEncoder().encode(`broken ${i}`), key: `k${i}`, partition: i % 2 }
          : reading(i, { value: i % 7, sensor: `s${i % 5}`, partition: i % 2 }),
    )
    const lake = memoryStore()
    for (let starts = 0, isDone = false; !isDone; starts++) {
      expect(starts).toBeLessThan(50)
      const controller = new AbortController()
      const binding = rowsSource(program, records)
      const summary = await runPipeline(program, {
        source: binding.open(WORLD),
        registry: binding.registry,
        lake,
        format: deltaFormat(lake, rowEncoder),
        clock: WORLD.clock,
        entropy: systemEntropy,
        log: WORLD.log,
        outbox: kafkaTopics({ brokers, registry: confluentRegistry({ url }) }).open(WORLD),
        deadLetters: { outbox: deadLetterTopic({ brokers, topic: dead }).open(WORLD), topic: dead },
        flush: { rowsMax: 20, bytesMax: 1e8, everyMs: null, batchRecordsMax: 10 },
        fresh: false,
        signal: controller.signal,
        onProgress: ({ records: read }) => {
          if (read > 40 && starts < 4) controller.abort()
        },
      })
      isDone = summary.outcome === 'completed'
    }

    const letters = await readCommitted(brokers[0]!, dead)
    const broken = records.flatMap(({ key, value }) =>
      value ? [[key, new TextDecoder().decode(value)]] : [],
    )
    expect(letters.map(({ key, value }) => [key, value]).toSorted(byJson)).toEqual(broken.toSorted(byJson))
    expect(letters[0]!.headers).toMatchObject({
      'millrace.reason': 'undecodable',
      'millrace.source.topic': 'readings',
      'millrace.pipeline': program.name,
    })
    expect(await rowsIn(lake, 'dead_letters')).toEqual([])

    const reader = new KafkajsRegistry({ host: url })
    const sent = await Promise.all(
      (await readCommitted(brokers[0]!, results)).map(async ({ rawValue }) => {
        const row = (await reader.decode(rawValue!)) as Row
        return [row.sensor, row.window_start, row.rows, row.total, row.revision]
      }),
    )
    const stored = (await rowsIn(lake, 'gold/counts')).map((row) => [
      row['sensor'],
      Date.parse(String(row['window_start'])),
      Number(row['rows']),
      row['total'],
      row['revision'],
    ])
    expect(sent.length).toBeGreaterThan(100)
    expect(sent.toSorted(byJson)).toEqual(stored.toSorted(byJson))
  })
})

interface Row {
  readonly sensor: string
  readonly window_start: number
  readonly rows: number
  readonly total: number
  readonly revision: number
}

function byJson(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}
