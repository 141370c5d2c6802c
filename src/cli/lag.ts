import { KafkaClient } from '../kafka/client.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import { pipelineOf } from './chain-facts.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { kafkaPlace } from './kafka-place.ts'
import { beyond, type LagLimit, type LagReport } from './lag-report.ts'
import { lagText } from './lag-text.ts'
import { measureLag } from './measure-lag.ts'
import { openLake } from './open-lake.ts'
import { SILENT } from './silent-log.ts'
import type { Terminal } from './terminal.ts'

export interface LagOptions {
  readonly lake: string
  readonly brokers: string | null
  /** Null: the only one of the lake. */
  readonly pipeline: string | null
  /** Beside those that the pipeline has begun. */
  readonly topics: readonly string[]
  readonly transactionalIdPrefix: string
  readonly isJson: boolean
  /** Null: once. */
  readonly everyMs: number | null
  readonly limit: LagLimit | null
}

const CLEAR_SCREEN = '\u001b[2J\u001b[H'

/** `millrace lag`: how far a pipeline is behind its topics. Looks from outside, so it works whether the pipeline runs or not. */
export async function lag(options: LagOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  const world = { clock: systemClock, entropy: systemEntropy, log: SILENT }
  const client = new KafkaClient(await kafkaPlace(options.brokers), world)
  try {
    await lake.checkThere()
    const pipeline = await pipelineOf(lake.store, options.pipeline)
    await client.connect()
    // A few tries, then the error: somebody looks at this.
    const retry = { ...world, signal: AbortSignal.abort() }
    const { topics, transactionalIdPrefix } = options
    const measure = () =>
      measureLag({ store: lake.store, client, pipeline, topics, transactionalIdPrefix, retry })
    if (options.everyMs === null) return await show(await measure(), options, terminal)
    for (;;) {
      const report = await measure()
      if (terminal.out.interactive && !options.isJson) await terminal.out.write(CLEAR_SCREEN)
      await show(report, options, terminal)
      await systemClock.sleep(options.everyMs)
    }
  } finally {
    await client.close()
    await lake.close()
  }
}

async function show(
  report: LagReport,
  { isJson, everyMs, limit }: LagOptions,
  { out, err }: Terminal,
): Promise<ExitCode> {
  if (isJson) await out.line(JSON.stringify(report, null, everyMs === null ? 2 : 0))
  else await out.write(lagText(report, out))
  const over = limit === null ? [] : beyond(report, limit)
  if (over.length === 0) return EXIT.done
  await err.line(`${err.style('red', 'above --max-lag:')} ${over.join(', ')}`)
  return EXIT.behind
}
