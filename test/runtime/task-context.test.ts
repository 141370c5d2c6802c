import { expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { ChainKeys } from '../../src/checkpoint/keys.ts'
import { ALL_RULES } from '../../src/runtime/rules.ts'
import { stageFiles, type TaskContext } from '../../src/runtime/task-context.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { hookedStore, IMPATIENT, SILENT, type StoreHooks } from '../support/world.ts'

/** Of a task's context, what staging needs. */
function contextWith(hooks: StoreHooks): TaskContext {
  const entropy = { nonce: () => 'n', random: () => 0 }
  const context: Partial<TaskContext> = {
    store: hookedStore(memoryStore(), hooks),
    retry: { clock: IMPATIENT, entropy, log: SILENT, signal: null },
    keys: new ChainKeys('p', 1),
    rules: ALL_RULES,
  }
  return context as TaskContext
}

const files = Array.from({ length: 500 }, (_, i) => ({
  key: `silver/rows/zone=${i}/f.parquet`,
  body: new Uint8Array(1),
  file: { path: `${i}`, size: 1, rows: 1, partitionValues: {}, stats: '', modifiedMs: 0, tags: {} },
}))

it('uploads the files of an epoch a few at a time, however many partitions a table has', async () => {
  let open = 0
  let most = 0
  let done = 0
  const context = contextWith({
    async before() {
      most = Math.max(most, ++open)
      await new Promise((resolve) => setImmediate(resolve))
      open--
      done++
    },
  })
  await stageFiles(context, [{ path: 'silver/rows', files }])
  expect(done).toBe(500)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(16)
})

it('leaves no upload behind when one fails', async () => {
  let open = 0
  let begun = 0
  const context = contextWith({
    async before() {
      open++
      const isFull = begun++ === 20
      await new Promise((resolve) => setImmediate(resolve))
      open--
      if (isFull) throw new PipelineError('STORE_FULL', 'no space is left')
    },
  })
  await expect(stageFiles(context, [{ path: 'silver/rows', files }])).rejects.toMatchObject({
    code: 'STORE_FULL',
  })
  expect(open).toBe(0)
  expect(begun).toBeLessThan(100)
})
