import { between, pipeline, silver, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import type { Outbox, OutboxEpoch, OutboxMarker } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { Reading, reading } from '../support/reading.ts'
import { scriptedSource } from '../support/scripted-source.ts'
import { hookedStore, rowsIn, start, WORLD } from '../support/world.ts'

const readings = stream('readings', Reading)
const program = pipeline({
  name: 'letters',
  tables: [silver('readings', readings.expect('sane', { value: between(0, 100) }))],
  circuitBreaker: false,
})
/** Every third is a dead letter, epochs four to six, of ten rows each, have none. */
const records = Array.from({ length: 90 }, (_, i) =>
  reading(i, { value: i % 3 === 0 && (i < 30 || i >= 60) ? -1 : 1 }),
)
const LETTERS = records.filter(({ row }) => (row as Reading).value === -1).length

/** Stops after so many records. */
const firstOf = (count: number) =>
  scriptedSource(rowsSource(program, records).open(WORLD), { 'readings-0': [count, { kind: 'stop' }] })

/** A topic in memory, with a marker for each task. */
class Topic implements Outbox {
  readonly description = 'a topic'
  readonly messageBytesMax = 1e6
  readonly epochs: OutboxEpoch[] = []
  isBroken = false

  get letters(): number {
    return this.epochs.reduce((sum, { messages }) => sum + messages.length, 0)
  }

  async open() {
    return []
  }

  async claim() {
    const marker: OutboxMarker | null = this.epochs.at(-1) ?? null
    return {
      marker,
      findPublished: async () => new Set<number>(),
      publish: async (epoch: OutboxEpoch) => {
        if (this.isBroken) throw new PipelineError('TOPIC_FORBIDDEN', 'no')
        this.epochs.push(epoch)
      },
      close: async () => {},
    }
  }

  async close() {}
}

describe('dead letters', () => {
  it('that went to the table go to a topic from the next start on; what was promised to the table is still put there', async () => {
    const lake = memoryStore()
    let commits = 0
    const denying = hookedStore(lake, {
      before(call, key) {
        if (call !== 'putIfAbsent' || !key.startsWith('dead_letters/_delta_log/') || commits++ < 1) return
        throw new PipelineError('STORE_NOT_WRITABLE', 'no')
      },
    })
    await expect(start(program, { lake: denying, source: firstOf(20), epochRows: 10 })).rejects.toMatchObject(
      {
        code: 'STORE_NOT_WRITABLE',
      },
    )
    const topic = new Topic()
    const deadLetters = { outbox: topic, topic: 'letters' }
    expect(await start(program, { lake, records, epochRows: 10, deadLetters })).toMatchObject({
      outcome: 'completed',
    })
    const inTable = (await rowsIn(lake, 'dead_letters')).length
    expect(inTable).toBeGreaterThan(0)
    expect(topic.letters).toBeGreaterThan(0)
    expect(inTable + topic.letters).toBe(LETTERS)
    expect(await start(program, { lake, records, deadLetters })).toMatchObject({ outcome: 'nothing-to-do' })
  })

  it('that went to a topic go to the table from the next start on', async () => {
    const lake = memoryStore()
    const topic = new Topic()
    const deadLetters = { outbox: topic, topic: 'letters' }
    await start(program, { lake, source: firstOf(60), epochRows: 10, deadLetters })
    expect(topic.letters).toBe(10)
    expect(await start(program, { lake, records, epochRows: 10 })).toMatchObject({ outcome: 'completed' })
    expect(await rowsIn(lake, 'dead_letters')).toHaveLength(LETTERS - 10)
  })

  it('that a topic has not got yet are not forgotten by a start without it', async () => {
    const lake = memoryStore()
    const topic = new Topic()
    const deadLetters = { outbox: topic, topic: 'letters' }
    topic.isBroken = true
    const refused = start(program, { lake, source: firstOf(20), epochRows: 10, deadLetters })
    await expect(refused).rejects.toMatchObject({ code: 'TOPIC_FORBIDDEN' })
    await expect(start(program, { lake, records })).rejects.toMatchObject({
      code: 'OUTBOX_UNBOUND',
      message: expect.stringContaining('messages for letters'),
    })
    topic.isBroken = false
    expect(await start(program, { lake, records, deadLetters })).toMatchObject({ outcome: 'completed' })
    expect(topic.letters).toBe(LETTERS)
  })
})
