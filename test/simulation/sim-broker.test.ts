import { describe, expect, it } from 'vitest'
import { IDENTITY_HEADERS, type OutboxMessage, type OutboxTask } from '../../src/ports.ts'
import { Prng } from '../../src/testing/simulation/prng.ts'
import { SimScheduler } from '../../src/testing/simulation/scheduler.ts'
import { DISTURBANCES, type Weather } from '../../src/testing/simulation/weather.ts'
import { REFUSED, SimBroker } from '../../src/testing/simulation/sim-broker.ts'
import { SimClock } from '../../src/testing/simulation/sim-clock.ts'
import { EVERY_CARE, SimOutbox } from '../../src/testing/simulation/sim-outbox.ts'

const TOPIC = 'letters'
const KEY = 'marker/t-0'

function message(epoch: number, index = 0): OutboxMessage {
  const text = (key: string, value: string) => ({ key, value: new TextEncoder().encode(value) })
  return {
    topic: TOPIC,
    key: null,
    value: Uint8Array.of(epoch, index),
    headers: [
      text(IDENTITY_HEADERS.pipeline, 'p'),
      text(IDENTITY_HEADERS.incarnation, '1'),
      text(IDENTITY_HEADERS.life, 'life'),
      text(IDENTITY_HEADERS.task, 't-0'),
      text(IDENTITY_HEADERS.epoch, String(epoch)),
      text(IDENTITY_HEADERS.index, String(index)),
    ],
  }
}

/** `promptness` 0: nothing happens by itself until `settle`. */
function broker(promptness: number, nowMs = (): number => 0): SimBroker {
  return new SimBroker(new Prng(1), nowMs, {
    markerLoss: 0,
    idExpiry: 0,
    promptness,
    transactionTimeoutMs: 60_000,
  })
}

function code(run: () => unknown): string | null {
  try {
    run()
    return null
  } catch (error) {
    return (error as { code: string }).code
  }
}

function send(
  kafka: SimBroker,
  id: ReturnType<SimBroker['initProducerId']>,
  epoch: number,
  sequence = 0,
): void {
  kafka.addTopic('tx', id, TOPIC)
  kafka.produce('tx', id, TOPIC, sequence, [message(epoch)])
  kafka.commitOffset('tx', id, KEY, { offset: String(epoch), metadata: `1:life:${epoch}` })
}

describe('the simulated broker', () => {
  it('fences the former owner, and aborts what it had open', () => {
    const kafka = broker(0)
    const first = kafka.initProducerId('tx')
    send(kafka, first, 1)
    expect(code(() => kafka.initProducerId('tx'))).toBe(REFUSED.concurrent)
    expect(code(() => kafka.endTransaction('tx', first, 'commit'))).toBe(REFUSED.fenced)
    kafka.settle()
    const second = kafka.initProducerId('tx')
    expect(code(() => send(kafka, first, 1, 1))).toBe(REFUSED.fenced)
    expect(code(() => kafka.produce('tx', second, TOPIC, 0, [message(1)]))).toBe(REFUSED.state)
    expect(kafka.committed(TOPIC)).toEqual([])
  })

  it('shows nothing of a transaction that is open, nor of anything behind it', () => {
    const kafka = broker(0)
    const open = kafka.initProducerId('tx')
    send(kafka, open, 1)
    const other = kafka.initProducerId('other')
    kafka.addTopic('other', other, TOPIC)
    kafka.produce('other', other, TOPIC, 0, [message(2)])
    kafka.endTransaction('other', other, 'commit')
    kafka.settle()
    expect(kafka.fetchCommitted(TOPIC, 0).messages.map(({ value }) => value![0])).toEqual([2])

    const behind = broker(0)
    const first = behind.initProducerId('tx')
    send(behind, first, 1)
    behind.endTransaction('tx', first, 'commit')
    // Committed, but its marker is not in the topic yet.
    expect(behind.fetchCommitted(TOPIC, 0)).toEqual({ messages: [], nextOffset: 0 })
    behind.settle()
    expect(behind.fetchCommitted(TOPIC, 0)).toEqual({ messages: [message(1)], nextOffset: 1 })
  })

  it('refuses an offset that a transaction may still change, but only to those who ask', () => {
    const kafka = broker(0)
    const id = kafka.initProducerId('tx')
    kafka.commitPlainOffset(KEY, { offset: '0', metadata: 'old' })
    send(kafka, id, 1)
    kafka.endTransaction('tx', id, 'commit')
    expect(code(() => kafka.fetchOffset(KEY, true))).toBe(REFUSED.unstable)
    expect(kafka.fetchOffset(KEY, false)?.metadata).toBe('old')
    kafka.settle()
    expect(kafka.fetchOffset(KEY, true)?.metadata).toBe('1:life:1')
  })

  it('ends a transaction twice the same way, but not another way', () => {
    const kafka = broker(0)
    const id = kafka.initProducerId('tx')
    send(kafka, id, 1)
    kafka.endTransaction('tx', id, 'commit')
    expect(code(() => kafka.endTransaction('tx', id, 'commit'))).toBe(null)
    expect(code(() => kafka.endTransaction('tx', id, 'abort'))).toBe(REFUSED.state)
    expect(code(() => send(kafka, id, 2, 1))).toBe(REFUSED.concurrent)
  })

  it('takes a message that is sent again once, and none out of order', () => {
    const kafka = broker(1)
    const id = kafka.initProducerId('tx')
    send(kafka, id, 1)
    kafka.produce('tx', id, TOPIC, 0, [message(1)])
    expect(code(() => kafka.produce('tx', id, TOPIC, 2, [message(3)]))).toBe(REFUSED.sequence)
    kafka.endTransaction('tx', id, 'commit')
    expect(kafka.committed(TOPIC)).toEqual([message(1)])
  })

  it('aborts a transaction that takes too long, and fences its owner', () => {
    let nowMs = 0
    const kafka = broker(1, () => nowMs)
    const id = kafka.initProducerId('tx')
    send(kafka, id, 1)
    nowMs = 60_001
    expect(code(() => kafka.endTransaction('tx', id, 'commit'))).toBe(REFUSED.fenced)
    expect(kafka.committed(TOPIC)).toEqual([])
  })
})

describe('the simulated outbox', () => {
  function world(seed: number, disturbance: number) {
    const random = new Prng(seed)
    const weights = Object.fromEntries(DISTURBANCES.map((kind) => [kind, 1])) as Weather['weights']
    const weather: Weather = {
      disturbance,
      disturbancesMax: 20,
      spawnsMax: 0,
      stickiness: 0,
      slow: null,
      slowness: 0,
      landing: 0.1,
      stepMsMax: 2,
      weights,
    }
    const scheduler = new SimScheduler(random.fork(), weather, 0)
    const kafka = new SimBroker(random.fork(), () => scheduler.nowMs, {
      markerLoss: 0.02,
      idExpiry: 0.02,
      promptness: 0.3,
      transactionTimeoutMs: 200,
    })
    return { scheduler, kafka }
  }

  it('publishes every epoch once, however its owners crash, by the marker or else by the topic', async () => {
    const counts = { markersLost: 0, idsExpired: 0, timeouts: 0, fences: 0 }
    for (let seed = 1; seed <= 80; seed++) {
      const { scheduler, kafka } = world(seed, 0.1)
      const owner = async (name: string): Promise<void> => {
        const process = scheduler.start(name)
        const outbox = new SimOutbox(process, kafka, new SimClock(process, scheduler))
        // What the chain would tell: epochs 1 to 6 are recorded.
        const work = async (task: OutboxTask): Promise<void> => {
          const known = task.marker?.epoch ?? 0
          const pending = [1, 2, 3, 4, 5, 6].filter((epoch) => epoch > known)
          const found = task.marker === null ? await task.findPublished('life', pending, [TOPIC]) : new Set()
          for (const epoch of pending.filter((one) => !found.has(one)))
            await task.publish({
              incarnation: 1,
              life: 'life',
              epoch,
              messages: [message(epoch)],
              groupOffset: null,
            })
        }
        await outbox
          .claim('p', 't-0')
          .then(work)
          .catch(() => {})
        scheduler.ended(process, 'done')
      }
      for (let i = 0; i < 8; i++) {
        void owner(`o${i}`)
        await scheduler.run(i === 7 ? 2_000 : 25)
      }
      scheduler.becalm()
      kafka.becalm()
      await scheduler.run(10_000)
      // What is late may fence whoever is at work.
      scheduler.land(scheduler.flightsCount)
      void owner('last')
      expect(await scheduler.run(10_000)).toBe(true)
      kafka.settle()
      const epochs = kafka.committed(TOPIC).map(({ value }) => value![0])
      expect(
        epochs.toSorted((a, b) => a! - b!),
        `seed ${seed}`,
      ).toEqual([1, 2, 3, 4, 5, 6])
      for (const kind of Object.keys(counts) as (keyof typeof counts)[]) counts[kind] += kafka.counts[kind]
    }
    for (const [kind, times] of Object.entries(counts)) expect(times, kind).toBeGreaterThan(0)
  })

  it.each([true, false])('looks for messages behind an open transaction: %s', async (scanToTheEnd) => {
    const { scheduler, kafka } = world(1, 0)
    scheduler.becalm()
    kafka.becalm()
    const other = kafka.initProducerId('other')
    kafka.addTopic('other', other, TOPIC)
    kafka.produce('other', other, TOPIC, 0, [message(9)])
    const ours = kafka.initProducerId('tx')
    send(kafka, ours, 1)
    kafka.endTransaction('tx', ours, 'commit')
    const process = scheduler.start('p1')
    const outbox = new SimOutbox(process, kafka, new SimClock(process, scheduler), {
      ...EVERY_CARE,
      scanToTheEnd,
    })
    const found = outbox
      .claim('p', 't-0')
      .then((task) => task.findPublished('life', [1, 2], [TOPIC]))
      .finally(() => scheduler.ended(process, 'done'))
    await scheduler.run(10_000)
    expect([...(await found)]).toEqual(scanToTheEnd ? [1] : [])
  })
})
