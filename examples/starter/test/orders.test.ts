import { join } from 'node:path'
import { replay } from 'millrace/testing'
import { expect, test } from 'vitest'
import orders from '../orders.ts'

const recording = join(import.meta.dirname, '../recordings/orders.avro')

test('the orders of each shop and quarter of an hour', async () => {
  const result = await replay(orders, { recording })
  await expect(result.text('gold/shop_quarters')).toMatchFileSnapshot('golden/shop_quarters.jsonl')
})

test('what is wrong does not count, and is not lost', async () => {
  const result = await replay(orders, { recording })
  expect(result.summary.totals.deadLetters).toEqual({ invalid: 1, late: 1 })
  expect(result.summary.totals.dropped).toEqual({ once: 3 })
  const reasons = result.rows('dead_letters').map((letter) => letter['reason'])
  expect(new Set(reasons)).toEqual(new Set(['invalid', 'late']))
})

test('small epochs give the same rows', async () => {
  const whole = await replay(orders, { recording })
  const small = await replay(orders, { recording, epochRows: 7, batchRecords: 3 })
  expect(small.text('gold/shop_quarters')).toBe(whole.text('gold/shop_quarters'))
  expect(small.text('silver/orders')).toBe(whole.text('silver/orders'))
})
