import { boundedOutOfOrderness, bronze, millis, pipeline, stream } from 'millrace'
import { expect, it } from 'vitest'
import { ChainKeys } from '../../src/checkpoint/keys.ts'
import { awaitParents } from '../../src/runtime/parents.ts'
import { PartitionEnds } from '../../src/runtime/partition-ends.ts'
import { ALL_RULES } from '../../src/runtime/rules.ts'
import { StopScope } from '../../src/runtime/stop-scope.ts'
import type { TaskContext } from '../../src/runtime/task-context.ts'
import type { Clock } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { gate } from '../support/scripted-source.ts'
import { shardSource } from '../support/shard-source.ts'
import { hookedStore, IMPATIENT, SILENT, start } from '../support/world.ts'

const readings = stream('readings', Reading, {
  eventTime: 'at',
  watermark: boundedOutOfOrderness(millis(5)),
})
const program = pipeline({ name: 'resharded', tables: [bronze('readings', readings)], circuitBreaker: false })

/** So that whatever comes has come by something else. */
const TIMELESS: Clock = { nowMs: () => 0, sleep: () => new Promise(() => {}) }

it('goes on at once when a parent ends in this process, also where others share the source', async () => {
  const lake = memoryStore()
  const source = shardSource(program, [reading(1)], { parents: { 1: [0] } })
  await start(program, { lake, source })
  const looked = gate()
  let hasEnded = false
  const entropy = { nonce: () => 'n', random: () => 0 }
  const hidden = hookedStore(lake, {
    after: () => looked.open(),
  })
  const context: Partial<TaskContext> = {
    store: { ...hidden, list: async (prefix) => (await hidden.list(prefix)).filter(() => hasEnded) },
    retry: { clock: IMPATIENT, entropy, log: SILENT, signal: null },
    keys: new ChainKeys('resharded', 1),
    rules: ALL_RULES,
    clock: TIMELESS,
  }
  const ends = new PartitionEnds(false)
  const parents = awaitParents({
    context: context as TaskContext,
    task: 'readings-1',
    parents: ['readings-0'],
    isPresent: () => true,
    ends,
    scope: new StopScope(),
  })
  await looked.passed
  hasEnded = true
  // One that leaves before its end goes on elsewhere: that is no reason to give up.
  ends.over('readings-0', false)
  expect(await parents).toMatchObject([{ task: 'readings-0', work: { state: { ended: true } } }])
})
