import { KafkaClient } from '../kafka/client.ts'
import { systemClock, systemEntropy } from '../runtime/system.ts'
import type { AggregateNode, PipelineSpec } from '../topology/node.ts'
import { pipelineOf } from './chain-facts.ts'
import { EXIT, type ExitCode, usageError } from './failure.ts'
import { kafkaPlace } from './kafka-place.ts'
import { loadProgram } from './load-program.ts'
import { measureWindows } from './measure-windows.ts'
import { openLake } from './open-lake.ts'
import { aggregatesOf } from './open-windows.ts'
import { SILENT } from './silent-log.ts'
import type { Terminal } from './terminal.ts'
import { windowsText } from './windows-text.ts'

export interface WindowsOptions {
  /** Of the program; null: nothing is said of its windows. */
  readonly path: string | null
  readonly lake: string
  readonly brokers: string | null
  readonly pipeline: string | null
  readonly result: string | null
  readonly endMs: number | null
  readonly silentAfterMs: number
  readonly isJson: boolean
}

/** `millrace windows`: which partition holds the watermark back. Looks from outside, so it works whether the pipeline runs or not. */
export async function windows(options: WindowsOptions, terminal: Terminal): Promise<ExitCode> {
  const { path, silentAfterMs, endMs } = options
  if (path === null && (endMs !== null || options.result !== null)) {
    throw usageError(
      '--end and --result speak of windows of a program, and none is named',
      'As in: millrace windows taxi.ts --end 2024-03-01T12:00:00Z',
    )
  }
  const spec = path === null ? null : await loadProgram(path)
  const aggregates = chosen(spec, options.result)
  const lake = await openLake(options.lake)
  const world = { clock: systemClock, entropy: systemEntropy, log: SILENT }
  const { brokers } = options
  const client = brokers === null ? null : new KafkaClient(await kafkaPlace(brokers), world)
  try {
    await lake.checkThere()
    const pipeline = await pipelineOf(lake.store, options.pipeline ?? spec?.name ?? null)
    await client?.connect()
    // A few tries, then the error: somebody looks at this.
    const retry = { ...world, signal: AbortSignal.abort() }
    const report = await measureWindows({
      store: lake.store,
      pipeline,
      client,
      aggregates,
      endMs,
      silentAfterMs,
      retry,
    })
    if (options.isJson) await terminal.out.line(JSON.stringify(report, null, 2))
    else if (report.merges.length === 0) {
      await terminal.err.line(`pipeline ${pipeline} has no windows, or none has begun yet`)
    } else await terminal.out.write(windowsText(report, terminal.out))
    return EXIT.done
  } finally {
    await client?.close()
    await lake.close()
  }
}

function chosen(spec: PipelineSpec | null, result: string | null): readonly AggregateNode[] {
  const all = spec === null ? [] : aggregatesOf(spec)
  if (result === null) return all
  const named = all.filter(({ name }) => name === result)
  if (named.length > 0) return named
  throw usageError(
    `the program has no aggregate ${result}`,
    `It has: ${all.map(({ name }) => name).join(', ') || 'none'}.`,
  )
}
