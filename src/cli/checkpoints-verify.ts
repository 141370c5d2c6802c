import { type ReadTableState, readTable } from '../../sinks/delta/read-table.ts'
import type { ObjectStore } from '../ports.ts'
import { pipelinesIn } from './chain-records.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { counted } from './format.ts'
import { openLake } from './open-lake.ts'
import type { Terminal } from './terminal.ts'
import { MEANINGS, type ProblemCode } from './chain-problems.ts'
import { type ChainReport, type LakeFacts, verifyPipeline } from './verify-chains.ts'

export interface VerifyOptions {
  readonly lake: string
  /** Null: all. */
  readonly pipeline: string | null
  readonly format: 'table' | 'json'
}

/** `millrace checkpoints verify`: exit code 1 where something is wrong. */
export async function checkpointsVerify(options: VerifyOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  try {
    await lake.checkThere()
    const pipelines = options.pipeline === null ? await pipelinesIn(lake.store) : [options.pipeline]
    const facts = lakeFacts(lake.store)
    const reports: { readonly pipeline: string; readonly chains: readonly ChainReport[] }[] = []
    for (const pipeline of pipelines) {
      reports.push({ pipeline, chains: await verifyPipeline(facts, pipeline) })
    }
    const problems = reports.flatMap(({ chains }) => chains.flatMap((chain) => chain.problems))
    if (options.format === 'json') {
      const meanings = Object.fromEntries(problems.map(({ code }) => [code, MEANINGS[code]]))
      await terminal.out.line(
        JSON.stringify({ ok: problems.length === 0, pipelines: reports, meanings }, null, 2),
      )
    } else {
      for (const { pipeline, chains } of reports) await printPipeline(pipeline, chains, terminal)
      await printVerdict(problems, terminal)
    }
    return problems.length === 0 ? EXIT.done : EXIT.failed
  } finally {
    await lake.close()
  }
}

/** Reads each table and lists each folder once. */
export function lakeFacts(store: ObjectStore): LakeFacts {
  const tables = new Map<string, Promise<ReadTableState | null>>()
  const sizes = new Map<string, Promise<ReadonlyMap<string, number>>>()
  return {
    store,
    table(path) {
      const known = tables.get(path) ?? readTable(store, path)
      tables.set(path, known)
      return known
    },
    sizesBelow(prefix) {
      const known =
        sizes.get(prefix) ??
        store.list(prefix).then((objects) => new Map(objects.map(({ key, size }) => [key, size])))
      sizes.set(prefix, known)
      return known
    },
  }
}

async function printPipeline(
  pipeline: string,
  chains: readonly ChainReport[],
  { out }: Terminal,
): Promise<void> {
  for (const chain of chains) {
    const { task, incarnation, first, head, problems } = chain
    const mark = problems.length === 0 ? out.style('green', '✓') : out.style('red', '✗')
    const epochs = head === null ? 'empty' : `epochs ${first} to ${head}`
    const notes = [
      ...(first !== null && first > 0 ? ['older ones were not needed any more'] : []),
      ...(chain.pending > 0 ? [`${counted(chain.pending, 'epoch')} for the next start to publish`] : []),
      ...(chain.stray > 0 ? [`${counted(chain.stray, 'stray record')} from before, without effect`] : []),
    ]
    const note = notes.length === 0 ? '' : out.style('dim', ` (${notes.join('; ')})`)
    await out.line(` ${mark} ${pipeline}/${incarnation} ${task}: ${epochs}${note}`)
    for (const { code, message } of problems) await out.line(`     ${out.style('red', code)} ${message}`)
  }
}

async function printVerdict(
  problems: readonly { readonly code: ProblemCode }[],
  { out, err }: Terminal,
): Promise<void> {
  if (problems.length === 0) {
    await out.line(out.style('green', ' Every chain can be gone on from.'))
    return
  }
  await out.line()
  for (const code of new Set(problems.map((problem) => problem.code))) {
    await out.line(` ${out.style('red', code)}: ${MEANINGS[code]}`)
  }
  await err.line(`\n${err.style('red', counted(problems.length, 'problem'))}`)
}
