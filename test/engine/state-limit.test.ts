import { ascending, gold, millis, pipeline, session, silver, stream } from 'millrace'
import { replay } from 'millrace/testing'
import { describe, expect, it } from 'vitest'
import { Reading, reading } from '../support/reading.ts'

const readings = stream('readings', Reading, { eventTime: 'at', watermark: ascending() })
const deduped = readings.dedupe('once', { by: ['sensor'], within: millis(100) })
const sessions = readings
  .keyBy('sensor')
  .window(session(millis(100)), { allowedLateness: millis(0) })
  .aggregate('visits', ({ count }) => ({ rows: count() }))

const records = Array.from({ length: 12 }, (_, at) => reading(at, { sensor: `s${at}` }))

describe('what steps remember by key', () => {
  it.each([
    ['once', [silver('once', deduped)]],
    ['visits', [gold('visits', sessions)]],
  ])(
    'of step %s ends the run above the limit, with the name of the step and what to do',
    async (step, tables) => {
      const within = pipeline({ name: 'limits', tables, limits: { keysMax: 12 } })
      await replay(within, { records, epochRows: 5 })
      const beyond = pipeline({ name: 'limits', tables, limits: { keysMax: 9 } })
      await expect(replay(beyond, { records, epochRows: 5 })).rejects.toMatchObject({
        code: 'STATE_LIMIT',
        message: `step ${step} remembers 10 keys in one partition; limits.keysMax is 9`,
        advice: expect.stringContaining('raise limits.keysMax'),
      })
    },
  )
})
