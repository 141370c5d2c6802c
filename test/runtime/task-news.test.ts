import { expect, it } from 'vitest'
import type { Clock } from '../../src/ports.ts'
import { createLog } from '../../src/runtime/log.ts'
import { TaskNews } from '../../src/runtime/task-news.ts'

function newsAt(clock: Clock): { readonly news: TaskNews; readonly lines: () => readonly object[] } {
  const written: string[] = []
  const log = createLog({ level: 'info', pretty: false, write: (line) => void written.push(line) })
  const lines = (): readonly object[] =>
    written.map((line) => {
      const { msg, tasks, ms } = JSON.parse(line) as Record<string, unknown>
      return { msg, tasks, ms }
    })
  return { news: new TaskNews(log, clock), lines }
}

it('tells of all tasks that change hands together in one line, when the last of them has', () => {
  let nowMs = 0
  const { news, lines } = newsAt({ nowMs: () => nowMs, sleep: async () => {} })
  news.claiming('orders-0')
  news.claiming('orders-1')
  news.claiming('merge-0')
  nowMs = 100
  news.tookOver('orders-1', 'offset 7')
  news.tookOver('merge-0', 'epoch 3')
  expect(lines()).toEqual([])
  nowMs = 250
  news.tookOver('orders-0', 'new')
  const taken = {
    msg: 'took over tasks',
    tasks: { 'orders-1': 'offset 7', 'merge-0': 'epoch 3', 'orders-0': 'new' },
    ms: 250,
  }
  expect(lines()).toEqual([taken])

  news.leaving('orders-0')
  nowMs = 300
  news.ended('orders-0', 'offset 12')
  expect(lines()).toEqual([taken, { msg: 'let tasks go', tasks: { 'orders-0': 'offset 12' }, ms: 50 }])
})

it('waits for no task that ends before it is ours, and tells nothing of those that end with the run', () => {
  const { news, lines } = newsAt({ nowMs: () => 0, sleep: async () => {} })
  news.claiming('orders-0')
  news.claiming('orders-1')
  news.tookOver('orders-0', 'new')
  news.ended('orders-1', null)
  news.ended('orders-0', 'offset 1')
  expect(lines()).toEqual([{ msg: 'took over tasks', tasks: { 'orders-0': 'new' }, ms: 0 }])
})
