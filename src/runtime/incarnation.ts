import { decideClaim } from '../checkpoint/decide.ts'
import { ChainKeys, isChainFolder, type MergeShape, mergeTasksOf } from '../checkpoint/keys.ts'
import { RECORD_VERSION } from '../checkpoint/record.ts'
import { decodeUtf8, encodeUtf8 } from '../columns/utf8.ts'
import { PipelineError } from '../errors.ts'
import type { ObjectStore } from '../ports.ts'
import type { Fingerprint } from '../topology/fingerprint.ts'
import { Chain } from './chain.ts'
import type { IncarnationHistory } from './history.ts'
import { newestProgram, type ProgramChange, programChange, putProgram } from './program-record.ts'
import { Backoff, isRetryable, type Retry, retrying } from './retry.ts'
import type { ProtocolRules } from './rules.ts'

/** One life of a pipeline's state. Put only where there is none, never changed. */
export interface IncarnationRecord {
  readonly version: 1
  readonly pipeline: string
  readonly incarnation: number
  readonly fingerprint: Fingerprint
  /** What the source is, for those that can tell: a recording's id. */
  readonly source: string | null
  /** Slices of each stage of merge tasks: which of them has a key depends on it. Absent: one. */
  readonly mergeParallelism?: number
  /** Of a start with --backfill: what is read before the source goes on. */
  readonly history?: IncarnationHistory
  readonly nonce: string
  readonly run: string
  readonly createdMs: number
}

export interface IncarnationOptions {
  readonly store: ObjectStore
  readonly pipeline: string
  readonly fingerprint: Fingerprint
  readonly source: string | null
  /** Tasks that the source has now: sealed even where they have no chain yet. */
  readonly tasks: readonly string[]
  /** Of merge tasks. */
  readonly merges: MergeShape
  readonly fresh: boolean
  /** Makes what the newest incarnation has written the history of a new one. Null: not asked for. */
  readonly backfill: BackfillSteps | null
  /** Steps that the program no longer has are dropped, in place of refusing it. */
  readonly allowRemoved: boolean
  readonly run: string
  readonly retry: Retry
  readonly rules: ProtocolRules
}

export interface BackfillSteps {
  /** Throws where it cannot be. Changes nothing. */
  check(old: IncarnationRecord): Promise<void>
  /** Called when the old chains are sealed. May be called again. */
  pin(old: IncarnationRecord): Promise<IncarnationHistory>
}

/** An incarnation, and what of it is the program's. */
export interface RunningIncarnation {
  readonly record: IncarnationRecord
  /** 1 for the program that it began with. Later ones have added steps, whose sources may have a past without them. */
  readonly program: number
}

/** The incarnation to run: the newest, or a new one where there is none or `fresh` asks for it. */
export async function resolveIncarnation(options: IncarnationOptions): Promise<RunningIncarnation> {
  const newest = await readNewest(options)
  if (newest === null) return begin(options, 1)
  if (options.fresh) {
    await sealChains(options, newest)
    return begin(options, newest.incarnation + 1)
  }
  if (options.backfill !== null) return beginWithHistory(options, newest, options.backfill)
  return goOn(options, newest)
}

/** Where the newest incarnation has run nothing but this very program there is nothing to fill: a supervisor may start with the option again and again. */
async function beginWithHistory(
  options: IncarnationOptions,
  old: IncarnationRecord,
  backfill: BackfillSteps,
): Promise<RunningIncarnation> {
  const { store, pipeline, retry, fingerprint, merges } = options
  const { incarnation, mergeParallelism = 1 } = old
  const grown = await newestProgram({ store, pipeline, incarnation, retry })
  const isSame = grown === null && old.fingerprint.pipeline === fingerprint.pipeline
  if (isSame && mergeParallelism === merges.slices) {
    retry.log.info({ incarnation }, 'the tables have their history: the incarnation began with this program')
    return goOn(options, old)
  }
  refuseOtherSource(options, old)
  await backfill.check(old)
  try {
    await sealChains(options, old)
    const history = await backfill.pin(old)
    retry.log.info({ from: incarnation, tables: history.tables }, 'a new incarnation begins with history')
    return await begin(options, incarnation + 1, history)
  } catch (error) {
    // Another process may have begun it meanwhile, and have the tables.
    const newest = await readNewest(options)
    if (newest === null || newest.incarnation <= incarnation) throw error
    return goOn(options, newest)
  }
}

/** With the program that it has run, or with one that has more to it. */
async function goOn(options: IncarnationOptions, record: IncarnationRecord): Promise<RunningIncarnation> {
  const { store, pipeline, retry, fingerprint, run } = options
  const { incarnation } = record
  const place = { store, pipeline, incarnation, retry }
  refuseOtherSource(options, record)
  refuseOtherParallelism(options, record)
  for (;;) {
    const newest = await newestProgram(place)
    const change = programChange(newest?.fingerprint ?? record.fingerprint, fingerprint)
    const program = newest?.program ?? 1
    refuseOtherProgram(options, change)
    const { added, removed } = change
    if (added.length === 0 && removed.length === 0) return { record, program }
    const isOurs = await putProgram(place, {
      version: 1,
      pipeline,
      incarnation,
      program: program + 1,
      fingerprint,
      added,
      removed,
      nonce: retry.entropy.nonce(),
      run,
      createdMs: retry.clock.nowMs(),
    })
    if (!isOurs) continue
    if (added.length > 0)
      retry.log.warn(
        { added },
        'the program has steps that are new: they begin with the records that come now (with --backfill they have their history)',
      )
    if (removed.length > 0)
      retry.log.warn(
        { removed },
        'the program has lost steps: their state is dropped, and their tables stay as they are',
      )
    return { record, program: program + 1 }
  }
}

async function readNewest(options: IncarnationOptions): Promise<IncarnationRecord | null> {
  const { store, pipeline, retry } = options
  const prefix = ChainKeys.incarnationPrefix(pipeline)
  const objects = await retrying(retry, `list ${prefix}`, () => store.list(prefix))
  const key = objects.at(-1)?.key
  return key === undefined ? null : readIncarnation(options, key)
}

async function readIncarnation(options: IncarnationOptions, key: string): Promise<IncarnationRecord | null> {
  const body = await retrying(options.retry, `get ${key}`, () => options.store.get(key))
  if (body === null) return null
  const record = parse(key, decodeUtf8(body))
  if (record.version === 1) return record
  throw new PipelineError('INCARNATION_VERSION', `${key} has version ${String(record.version)}`, {
    advice: 'A newer Millrace wrote it. Run that version.',
  })
}

function parse(key: string, text: string): IncarnationRecord {
  try {
    return JSON.parse(text) as IncarnationRecord
  } catch (error) {
    throw new PipelineError('RECORD_UNREADABLE', `${key} is not JSON`, {
      cause: error,
      advice:
        'The lake was changed by something else than Millrace. Restore the object, or choose another lake.',
    })
  }
}

async function begin(
  options: IncarnationOptions,
  incarnation: number,
  history?: IncarnationHistory,
): Promise<RunningIncarnation> {
  const { store, pipeline, fingerprint, source, merges, run, retry } = options
  const key = ChainKeys.incarnation(pipeline, incarnation)
  const record: IncarnationRecord = {
    version: 1,
    pipeline,
    incarnation,
    fingerprint,
    source,
    ...(merges.slices === 1 ? {} : { mergeParallelism: merges.slices }),
    ...(history === undefined ? {} : { history }),
    nonce: retry.entropy.nonce(),
    run,
    createdMs: retry.clock.nowMs(),
  }
  const body = encodeUtf8(`${JSON.stringify(record)}\n`)
  const backoff = new Backoff(retry, `put ${key}`)
  for (;;) {
    let failure: unknown = new PipelineError('RECORD_GONE', `${key} is there but cannot be read`)
    try {
      if ((await store.putIfAbsent(key, body)) === 'created') return { record, program: 1 }
    } catch (error) {
      if (!isRetryable(error)) throw error
      failure = error
    }
    const stored = await readIncarnation(options, key)
    if (stored === null) {
      await backoff.wait(failure)
      continue
    }
    if (stored.nonce === record.nonce) return { record, program: 1 }
    // Somebody began it at the same moment. With --fresh that is as good as ours: nothing is in it yet.
    return goOn(options, stored)
  }
}

/** The end of every chain of an incarnation: its owners stop at their next record, and nobody claims past it. */
async function sealChains(
  options: IncarnationOptions,
  { incarnation, mergeParallelism: slices = 1 }: IncarnationRecord,
): Promise<void> {
  const { store, pipeline, retry, rules, run } = options
  if (!rules.sealOldChains) return
  const keys = new ChainKeys(pipeline, incarnation)
  const objects = await retrying(retry, `list ${keys.root}`, () => store.list(keys.root))
  const merges = mergeTasksOf({ stages: Math.max(options.merges.stages, 1), slices })
  const tasks = new Set([...options.tasks, ...merges])
  const folders = objects.map(({ key }) => key.slice(keys.root.length).split('/')[0]!)
  for (const folder of folders) if (isChainFolder(folder)) tasks.add(folder)
  for (const task of tasks) {
    const chain = new Chain({ store, keys, retry, rules }, task)
    for (;;) {
      const decision = decideClaim(await chain.readHead())
      if (decision.kind === 'sealed') break
      const outcome = await chain.put({
        version: RECORD_VERSION,
        kind: 'seal',
        pipeline,
        incarnation,
        task,
        epoch: decision.epoch,
        nonce: retry.entropy.nonce(),
        run,
        writtenMs: retry.clock.nowMs(),
      })
      // A seal that is not the end fell where a record had been deleted: the chain is far beyond.
      if (outcome === 'won' && (await chain.list()).at(-1) === decision.epoch) break
    }
  }
}

function refuseOtherProgram({ pipeline, allowRemoved }: IncarnationOptions, change: ProgramChange): void {
  const { changed, removed } = change
  const refused = [
    ...changed.map((step) => `${step} was changed`),
    ...(allowRemoved ? [] : removed.map((step) => `${step} was removed`)),
  ]
  if (refused.length === 0) return
  throw new PipelineError(
    'PROGRAM_CHANGED',
    `pipeline ${pipeline} is not the program that wrote this lake: ${refused.join(', ')}`,
    {
      advice:
        changed.length === 0
          ? 'Is this an old version of the program? Where the steps are to go, start with --allow-removed: their state is dropped, and their tables stay as they are.'
          : 'See the difference with millrace describe --diff. Run the old program, choose another lake, or begin a new incarnation: with --fresh, or, in millrace run, with --backfill.',
    },
  )
}

function refuseOtherSource({ pipeline, source }: IncarnationOptions, stored: IncarnationRecord): void {
  if (stored.source === null || source === null || stored.source === source) return
  throw new PipelineError(
    'SOURCE_CHANGED',
    `pipeline ${pipeline} has read another recording into this lake (${stored.source}, this is ${source})`,
    {
      advice:
        'Positions in one recording mean nothing in another. Choose another lake, or begin again with --fresh.',
    },
  )
}

/** The slices of the merge have what they have folded, and no slice could fold what another one has. */
function refuseOtherParallelism(
  { pipeline, merges: { slices } }: IncarnationOptions,
  { mergeParallelism = 1 }: IncarnationRecord,
): void {
  if (mergeParallelism === slices) return
  throw new PipelineError(
    'PARALLELISM_CHANGED',
    `pipeline ${pipeline} was begun with mergeParallelism ${mergeParallelism}, and this program has ${slices}`,
    {
      advice: `Set mergeParallelism to ${mergeParallelism} again, or begin again with --fresh: a new incarnation may have any number.`,
    },
  )
}
