import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { ChainKeys, parseMergeTask } from '../../src/checkpoint/keys.ts'
import { compilePlan, tableShapesOf } from '../../src/engine/plan.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { Chain } from '../../src/runtime/chain.ts'
import { mergeTables } from '../../src/runtime/outputs.ts'
import { Retention, type RetentionLimits, type RetentionReport } from '../../src/runtime/retention.ts'
import { ALL_RULES, type ProtocolRules } from '../../src/runtime/rules.ts'
import { systemEntropy } from '../../src/runtime/system.ts'
import { TablePublisher } from '../../src/runtime/table-publisher.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'
import { IMPATIENT, SILENT } from './world.ts'

/** A round of retention over all tasks of a pipeline that nobody runs at the moment. */
export async function retain(
  program: PipelineSpec,
  lake: ObjectStore,
  limits: RetentionLimits,
  rules: ProtocolRules = ALL_RULES,
): Promise<RetentionReport> {
  const keys = new ChainKeys(program.name, 1)
  const retry = { clock: IMPATIENT, entropy: systemEntropy, log: SILENT, signal: null }
  const plan = compilePlan(program, [program.source.name])
  const publishers = new Map<string, TablePublisher>()
  for (const shape of tableShapesOf(plan)) {
    const publisher = new TablePublisher({
      log: deltaFormat(lake, rowEncoder).open(shape),
      retry,
      rules,
      pipeline: program.name,
      incarnation: 1,
      incarnationAppId: keys.incarnationAppId,
      isOwned: shape !== plan.deadLetters,
      run: 'retention',
    })
    await publisher.open()
    publishers.set(shape.path, publisher)
  }
  const context = { plan, store: lake, keys, publishers, log: SILENT, retry, rules }
  const retention = new Retention(context, limits)
  const gold = plan.gold.map((table) => table.shape.path)
  const others = tableShapesOf(plan)
    .map((shape) => shape.path)
    .filter((path) => !gold.includes(path))
  for (const task of await tasksIn(lake, keys)) {
    const merge = parseMergeTask(task)
    retention.own(task, merge === null ? others : mergeTables({ plan }, merge.stage), 0)
  }
  return retention.round()
}

export async function tasksIn(lake: ObjectStore, keys: ChainKeys): Promise<readonly string[]> {
  const tasks = (await lake.list(keys.root)).map(({ key }) => key.slice(keys.root.length).split('/')[0]!)
  return [...new Set(tasks)].filter((task) => !task.startsWith('_'))
}

/** Epochs of every chain. */
export async function chainsIn(
  lake: ObjectStore,
  program: PipelineSpec,
): Promise<Record<string, readonly number[]>> {
  const keys = new ChainKeys(program.name, 1)
  const retry = { clock: IMPATIENT, entropy: systemEntropy, log: SILENT, signal: null }
  const chains = (await tasksIn(lake, keys)).map(
    async (task) =>
      [task, await new Chain({ store: lake, keys, retry, rules: ALL_RULES }, task).list()] as const,
  )
  return Object.fromEntries(await Promise.all(chains))
}
