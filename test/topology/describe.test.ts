import { avroSchema, bronze, pipeline, silver, stream } from 'millrace'
import { expect, test } from 'vitest'
import { describePipeline } from '../../src/topology/describe.ts'
import { EveryType } from '../codegen/golden/every-type.ts'
import { rides } from './rides.ts'
import { taxi } from './trips.ts'

const golden = (name: string) => new URL(`golden/${name}.txt`, import.meta.url).pathname

test('a pipeline reads as a tree from the stream to its tables, and the columns of each table', async () => {
  await expect(describePipeline(taxi())).toMatchFileSnapshot(golden('taxi'))
})

test('every window, trigger, aggregate and key has a text', async () => {
  await expect(describePipeline(rides())).toMatchFileSnapshot(golden('rides'))
})

test('every type of column has a text', async () => {
  const every = stream('every', EveryType)
  const spec = pipeline({ name: 'every', tables: [bronze('every', every)], circuitBreaker: false })
  await expect(describePipeline(spec)).toMatchFileSnapshot(golden('every-type'))
})

test('a step that two tables share is shown once', () => {
  const ping = stream(
    'ping',
    avroSchema({ type: 'record', name: 'Ping', fields: [{ name: 'x', type: 'int' }] }),
  )
  const some = ping.filter('some', () => true)
  const spec = pipeline({
    name: 'ping',
    tables: [
      silver('one', some),
      silver(
        'two',
        some.filter('more', () => true),
      ),
    ],
  })
  expect(describePipeline(spec).match(/filter some/g)).toHaveLength(1)
})
