import {
  between,
  boundedOutOfOrderness,
  bronze,
  day,
  gold,
  hours,
  minutes,
  pipeline,
  silver,
  stream,
  tumbling,
} from 'millrace'
import { Order } from './schemas/order.ts'

// What comes in. The watermark says how far behind the newest order another one may still be.
const orders = stream('orders', Order, {
  eventTime: 'orderedAt',
  watermark: boundedOutOfOrderness(minutes(1), { idleAfter: minutes(10) }),
})

// What is right with it. An order that breaks a rule becomes a dead letter; one that a till sent twice is dropped.
const cleanOrders = orders
  .expect('sane', { quantity: between(1, 50), price: between(0, 100) })
  .dedupe('once', { by: 'orderId', within: hours(1) })

// What it comes to: one row for each shop and quarter of an hour.
const shopQuarters = cleanOrders
  .keyBy('shop')
  .window(tumbling(minutes(15)), { allowedLateness: minutes(5) })
  .aggregate('shop_quarters', ({ count, sum, max }) => ({
    orders: count(),
    items: sum('quantity'),
    dearest: max('price'),
  }))

export default pipeline({
  name: 'cafe',
  tables: [
    bronze('orders', orders),
    silver('orders', cleanOrders, { partitionBy: day('orderedAt') }),
    gold('shop_quarters', shopQuarters),
  ],
})
