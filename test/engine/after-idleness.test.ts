import { expect, it } from 'vitest'
import { compileRow } from '../../src/columns/row.ts'
import { createMergeWindow } from '../../src/engine/create-merge-window.ts'
import { RULES } from './merge-world.ts'
import { Partition, windowPlan } from './ordered-harness.ts'

it('replaces each row of a session that grows after it was final, also where the slowest has caught up', () => {
  const plan = windowPlan({ kind: 'session', gapMs: 100, gapField: null })
  const readers = { newest: true, nextStage: false, topics: [], topicNames: [] }
  const merge = createMergeWindow({ plan, rules: RULES, readers })
  const files = new Map<number, readonly string[]>()
  let epoch = 0
  const cut = (watermarkMs: number, slowestMs: number): void => {
    merge.fire({ watermarkMs, slowestMs, epoch, nowMs: 0 })
    const { batch, written, replacedEpochs } = merge.fired
    for (const replaced of replacedEpochs) files.delete(replaced)
    const reader = compileRow(plan.resultFields)
    reader.bind(batch.columns)
    const rows = Array.from({ length: written }, (_, i) => {
      const row = reader.at(i) as Record<string, unknown>
      return `[${String(row['window_start'])}, ${String(row['window_end'])}) ${String(row['rows'])}`
    })
    files.set(epoch++, rows)
    merge.clear()
  }
  const a = new Partition(plan, 'a')
  const b = new Partition(plan, 'b')
  const add = (partition: Partition, task: string, ...timesMs: number[]): void => {
    partition.add(timesMs.map((timeMs) => ({ row: { key: 'k', timeMs, value: 1 }, floorMs: timeMs - 1 })))
    merge.fold(partition.cut()[0], task)
  }
  add(a, 'a', 0)
  // B is idle.
  cut(300, -Infinity)
  add(b, 'b', 95, 180, 270)
  cut(310, 310)
  add(a, 'a', 320)
  cut(330, 330)
  add(a, 'a', 380)
  cut(390, 390)
  cut(1_000, 1_000)
  expect([...files.values()].flat()).toEqual(['[0, 480) 6'])
})
