import { ChainKeys } from '../checkpoint/keys.ts'
import type { ChainRecord, ClaimRecord, DataRecord } from '../checkpoint/record.ts'
import type { ObjectStore } from '../ports.ts'
import type { IncarnationRecord } from '../runtime/incarnation.ts'
import {
  chainsOf,
  incarnationsOf,
  inTurn,
  type ListedChain,
  pipelinesIn,
  readRecord,
} from './chain-records.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { countText, durationText, timeText } from './format.ts'
import { openLake } from './open-lake.ts'
import { shortPosition } from './position-text.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export interface ListOptions {
  readonly lake: string
  /** Null: all. */
  readonly pipeline: string | null
  /** Replaced incarnations too. */
  readonly all: boolean
  readonly format: 'table' | 'json'
}

/** The end of a chain. */
interface ChainHead {
  readonly incarnation: IncarnationRecord
  readonly chain: ListedChain
  readonly head: ChainRecord | null
  /** The newest record of work; null where there is none. */
  readonly last: DataRecord | null
  /** Of the task's owner, where its claim is still kept. */
  readonly claim: ClaimRecord | null
}

/** `millrace checkpoints ls`: one line for each task. */
export async function checkpointsList(options: ListOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  try {
    await lake.checkThere()
    const pipelines = options.pipeline === null ? await pipelinesIn(lake.store) : [options.pipeline]
    const heads: ChainHead[] = []
    for (const pipeline of pipelines) {
      const incarnations = await incarnationsOf(lake.store, pipeline)
      for (const incarnation of options.all ? incarnations : incarnations.slice(-1)) {
        heads.push(...(await headsOf(lake.store, incarnation)))
      }
    }
    const nowMs = Date.now()
    if (options.format === 'json') {
      await terminal.out.line(JSON.stringify(heads.map(headJson), null, 2))
    } else if (heads.length === 0) {
      await terminal.err.line(`${options.lake} has no chains yet: nothing was recorded there`)
    } else {
      await terminal.out.write(headsText(heads, nowMs, terminal))
    }
    return EXIT.done
  } finally {
    await lake.close()
  }
}

async function headsOf(store: ObjectStore, incarnation: IncarnationRecord): Promise<readonly ChainHead[]> {
  const keys = new ChainKeys(incarnation.pipeline, incarnation.incarnation)
  const chains = await chainsOf(store, keys)
  return inTurn(chains, async (chain) => ({ incarnation, chain, ...(await readHead(store, keys, chain)) }), 8)
}

async function readHead(
  store: ObjectStore,
  keys: ChainKeys,
  { task, epochs }: ListedChain,
): Promise<Pick<ChainHead, 'head' | 'last' | 'claim'>> {
  let head: ChainRecord | null = null
  let claim: ClaimRecord | null = null
  for (const epoch of epochs.toReversed()) {
    const record = await readRecord(store, keys, task, epoch)
    head ??= record
    if (record?.kind === 'claim') claim ??= record
    if (record?.kind !== 'data') continue
    const under = claim === null ? await readRecord(store, keys, task, record.claim) : null
    return { head, last: record, claim: under?.kind === 'claim' ? under : claim }
  }
  return { head, last: null, claim }
}

function headsText(heads: readonly ChainHead[], nowMs: number, { out }: Terminal): string {
  const columns = [
    { name: 'pipeline', numeric: false },
    { name: 'task', numeric: false },
    { name: 'epoch', numeric: true },
    { name: 'kind', numeric: false },
    { name: 'kept', numeric: true },
    { name: 'records', numeric: true },
    { name: 'position', numeric: false, shrinks: true },
    { name: 'watermark', numeric: false },
    { name: 'age', numeric: true },
    { name: 'owner', numeric: false, shrinks: true },
  ]
  const rows = heads.map(({ incarnation, chain, head, last, claim }) => [
    `${incarnation.pipeline}/${incarnation.incarnation}`,
    chain.task,
    head === null ? '–' : String(head.epoch),
    head === null ? 'empty' : kindText(head),
    countText(chain.epochs.length),
    last?.work.type === 'partition' ? countText(last.work.state.totals.records) : '–',
    positionText(last),
    watermarkText(last),
    head === null ? '–' : durationText(Math.max(0, nowMs - head.writtenMs)),
    claim?.owner ?? (head === null ? '–' : `run ${head.run}`),
  ])
  return textTable(columns, rows, out)
}

export function kindText(record: ChainRecord): string {
  if (record.kind !== 'data') return record.kind
  return record.work.type === 'merge' ? 'merge' : 'work'
}

function positionText(last: DataRecord | null): string {
  if (last === null) return '–'
  if (last.work.type === 'merge') {
    const folded = Object.values(last.work.state.sources).filter(({ epoch }) => epoch >= 0).length
    return `${countText(folded)} of ${countText(Object.keys(last.work.state.sources).length)} tasks folded`
  }
  const { position, ended } = last.work.state
  const place = position === null ? 'start' : shortPosition(position)
  return ended && !place.endsWith('the end of the shard') ? `${place}, the end` : place
}

function watermarkText(last: DataRecord | null): string {
  if (last === null) return '–'
  const isIdle = last.work.type === 'partition' && last.work.state.idle
  return `${timeText(last.work.state.watermarkMs)}${isIdle ? ' (idle)' : ''}`
}

function headJson({ incarnation, chain, head, last, claim }: ChainHead): object {
  const work = last?.work
  return {
    pipeline: incarnation.pipeline,
    incarnation: incarnation.incarnation,
    task: chain.task,
    epoch: head?.epoch ?? null,
    kind: head?.kind ?? null,
    writtenAt: head === null ? null : new Date(head.writtenMs).toISOString(),
    oldestKept: chain.epochs[0] ?? null,
    lastWork: last?.epoch ?? null,
    position: work?.type === 'partition' ? work.state.position : null,
    watermarkMs:
      work === undefined || !Number.isFinite(work.state.watermarkMs) ? null : work.state.watermarkMs,
    idle: work?.type === 'partition' ? work.state.idle : null,
    ended: work?.type === 'partition' ? work.state.ended : null,
    successors: work?.type === 'partition' ? (work.state.successors ?? []) : null,
    published: last?.published ?? {},
    owner: claim?.owner ?? null,
    run: head?.run ?? null,
  }
}
