import type { ReadTableState } from '../../sinks/delta/read-table.ts'
import { changedTables, redoFrom } from '../checkpoint/decide.ts'
import { ChainKeys } from '../checkpoint/keys.ts'
import type { ChainRecord, DataRecord } from '../checkpoint/record.ts'
import { OUTBOX } from '../checkpoint/record.ts'
import { oldestNeeded, retentionCeiling, stagedKeysOf } from '../checkpoint/retention.ts'
import { messageOf } from '../errors.ts'
import type { ObjectStore, StagedFile } from '../ports.ts'
import { ALL_RULES } from '../runtime/rules.ts'
import type { ChainProblem } from './chain-problems.ts'
import { mergedEpoch, readersOf, verifyMerge, verifyReach } from './verify-merge.ts'
import { chainsOf, incarnationsOf, inTurn, type ListedChain, readRecord } from './chain-records.ts'

export interface ChainReport {
  readonly task: string
  readonly incarnation: number
  readonly first: number | null
  readonly head: number | null
  readonly records: number
  /** Recorded, and not in every table yet: the next start publishes them. */
  readonly pending: number
  /** Left below a hole by sleepers or by a deletion that stopped; they do no harm. */
  readonly stray: number
  readonly problems: readonly ChainProblem[]
}

/** What the tables of a lake say, read once. */
export interface LakeFacts {
  readonly store: ObjectStore
  /** Null where there is no such table. */
  table(path: string): Promise<ReadTableState | null>
  /** Sizes of the objects below a prefix, by key. */
  sizesBelow(prefix: string): Promise<ReadonlyMap<string, number>>
}

/** Checks the chains of every incarnation of a pipeline: the newest whole, the older ones for their seals. */
export async function verifyPipeline(facts: LakeFacts, pipeline: string): Promise<readonly ChainReport[]> {
  const incarnations = await incarnationsOf(facts.store, pipeline)
  const reports: ChainReport[] = []
  for (const { incarnation } of incarnations) {
    const keys = new ChainKeys(pipeline, incarnation)
    const chains = await chainsOf(facts.store, keys)
    if (incarnation !== incarnations.at(-1)!.incarnation) {
      reports.push(...(await inTurn(chains, (chain) => verifySeal(facts, keys, incarnation, chain))))
      continue
    }
    const read = await inTurn(chains, (chain) => readChain(facts, keys, incarnation, chain), 1)
    const needed = read.map((chain) => withoutSleepers(chain, read))
    const byTask = new Map(needed.map((chain) => [chain.listed.task, chain]))
    for (const chain of needed) reports.push(await verifyChain(facts, keys, chain, byTask))
  }
  return reports
}

/** A chain of the newest incarnation, read. */
export interface WholeChain {
  readonly listed: ListedChain
  readonly incarnation: number
  /** Those that could be read and that a restore may need, ascending. */
  readonly records: readonly ChainRecord[]
  readonly problems: ChainProblem[]
}

async function readChain(
  { store }: LakeFacts,
  keys: ChainKeys,
  incarnation: number,
  listed: ListedChain,
): Promise<WholeChain> {
  const { task, epochs } = listed
  const problems: ChainProblem[] = []
  const read = await inTurn(epochs, async (epoch) => {
    try {
      const record = await readRecord(store, keys, task, epoch)
      if (record === null) return null
      const isHere = record.task === task && record.epoch === epoch && record.incarnation === incarnation
      if (isHere) return record
      const message = `record ${epoch} says that it is record ${record.epoch} of ${record.task}, incarnation ${record.incarnation}`
      problems.push({ code: 'misplaced', task, epoch, message })
    } catch (error) {
      problems.push({ code: 'unreadable', task, epoch, message: messageOf(error) })
    }
    return null
  })
  return { listed, incarnation, records: read.filter((record) => record !== null), problems }
}

/**
 * Of a chain that has lost its beginning only what a restore needs counts. Below it records are kept for people, and sleepers may have
 * put their own where others had been deleted.
 */
function withoutSleepers(chain: WholeChain, all: readonly WholeChain[]): WholeChain {
  const { listed, records } = chain
  const { task, epochs } = listed
  const data = records.filter((record) => record.kind === 'data')
  const last = data.at(-1)
  if ((epochs[0] ?? 0) === 0 || last === undefined) return chain
  const ceiling = retentionCeiling(last, [], mergedEpoch(task, readersOf(task, all)), ALL_RULES)
  const base = data.findLast(({ epoch }) => epoch <= ceiling)
  const needed = base === undefined ? -1 : oldestNeeded(base, ALL_RULES)
  return { ...chain, records: records.filter(({ epoch }) => epoch >= needed) }
}

/** Between a record of work and the claim that it was written under there is only work of that claim. */
function verifyLineage(task: string, records: readonly ChainRecord[], problems: ChainProblem[]): void {
  let claim: number | null = null
  for (const record of records.toReversed()) {
    const { kind, epoch } = record
    if (claim !== null) {
      const isOfClaim = epoch > claim ? kind === 'data' && record.claim === claim : kind === 'claim'
      const message = `record ${epoch} does not belong to the claim ${claim} that later records are of`
      if (!isOfClaim) problems.push({ code: 'lineage', task, epoch, message })
    }
    claim = kind === 'data' ? record.claim : null
  }
}

async function verifySeal(
  { store }: LakeFacts,
  keys: ChainKeys,
  incarnation: number,
  { task, epochs, stray }: ListedChain,
): Promise<ChainReport> {
  const head = epochs.at(-1) ?? null
  const problems: ChainProblem[] = []
  const record = head === null ? null : await readRecord(store, keys, task, head)
  if (record?.kind !== 'seal') {
    const message = `the last record of incarnation ${incarnation} is no seal`
    problems.push({ code: 'sealed', task, epoch: head, message })
  }
  const counts = { records: epochs.length, pending: 0, stray: stray.length }
  return { task, incarnation, first: epochs[0] ?? null, head, ...counts, problems }
}

async function verifyChain(
  facts: LakeFacts,
  keys: ChainKeys,
  chain: WholeChain,
  byTask: ReadonlyMap<string, WholeChain>,
): Promise<ChainReport> {
  const { listed, records, incarnation, problems } = chain
  const { task, epochs, stray } = listed
  const data = records.filter((record) => record.kind === 'data')
  const last = data.at(-1) ?? null
  verifyLineage(task, records, problems)
  verifyOrder(task, records, data, problems)
  const markers = await markersOf(facts, keys.appId(task), data)
  verifyMarkers(task, epochs[0] ?? 0, last, markers, problems)
  await verifyStaged(facts, keys, task, data, problems)
  await verifyFiles(facts, task, data, markers, problems)
  if (last?.work.type === 'merge') verifyMerge(task, data, last, last.work, byTask, problems)
  verifyReach(listed, byTask, problems)
  const pending = data.filter((record) =>
    changedTables(record).some((path) => (markers.get(path) ?? -1) < record.epoch),
  ).length
  const ends = { first: epochs[0] ?? null, head: epochs.at(-1) ?? null }
  return { task, incarnation, ...ends, records: epochs.length, pending, stray: stray.length, problems }
}

/** A seal is the end, a nonce belongs to one record, and what only grows does not go back. */
function verifyOrder(
  task: string,
  records: readonly ChainRecord[],
  data: readonly DataRecord[],
  problems: ChainProblem[],
): void {
  const nonces = new Map<string, number>()
  for (const { kind, epoch, nonce } of records) {
    if (kind === 'seal') {
      const message = `record ${epoch} seals the chain of the newest incarnation`
      problems.push({ code: 'lineage', task, epoch, message })
    }
    const twin = nonces.get(nonce)
    if (twin !== undefined) {
      problems.push({
        code: 'lineage',
        task,
        epoch,
        message: `record ${epoch} has the nonce of record ${twin}`,
      })
    }
    nonces.set(nonce, epoch)
  }
  for (const [index, record] of data.entries()) {
    const before = data[index - 1]
    if (before === undefined || record.work.state.watermarkMs >= before.work.state.watermarkMs) continue
    const message = `the watermark of record ${record.epoch} is before that of record ${before.epoch}`
    problems.push({ code: 'watermark-back', task, epoch: record.epoch, message })
  }
}

/** By table path, how far each table that the records speak of has the task's epochs. */
async function markersOf(
  facts: LakeFacts,
  appId: string,
  data: readonly DataRecord[],
): Promise<ReadonlyMap<string, number>> {
  const paths = new Set(
    data.flatMap(({ published, files }) => [...Object.keys(published), ...Object.keys(files)]),
  )
  paths.delete(OUTBOX)
  const states = await inTurn([...paths], (path) => facts.table(path))
  return new Map([...paths].map((path, index) => [path, states[index]?.txn.get(appId) ?? -1]))
}

function verifyMarkers(
  task: string,
  first: number,
  last: DataRecord | null,
  markers: ReadonlyMap<string, number>,
  problems: ChainProblem[],
): void {
  for (const [path, marker] of markers) {
    if (marker > (last?.epoch ?? -1)) {
      const message = `${path} has epoch ${marker}, and the last record of work is ${last?.epoch ?? 'missing'}`
      problems.push({ code: 'behind', task, epoch: last?.epoch ?? null, message })
    }
    if (first > 0 && marker < first) {
      const message = `records before ${first} are gone, and ${path} has the task's epochs only up to ${marker}`
      problems.push({ code: 'gap', task, epoch: first, message })
    }
  }
  if (last === null) return
  const redo = redoFrom(last, Object.keys(last.published))
  if (first > 0 && redo < first) {
    const message = `record ${last.epoch} says that everything from ${redo} on may have to be published, and the chain begins at ${first}`
    problems.push({ code: 'gap', task, epoch: last.epoch, message })
  }
}

async function verifyStaged(
  facts: LakeFacts,
  keys: ChainKeys,
  task: string,
  data: readonly DataRecord[],
  problems: ChainProblem[],
): Promise<void> {
  const sizes = await facts.sizesBelow(keys.stagedPrefix(task))
  const reported = new Set<string>()
  for (const record of data) {
    for (const key of stagedKeysOf(record)) {
      if (sizes.has(key) || reported.has(key)) continue
      reported.add(key)
      const { epoch } = record
      problems.push({
        code: 'staged-file',
        task,
        epoch,
        message: `${key}, which record ${epoch} names, is gone`,
      })
    }
  }
}

/** A file may have left its table since, and the disk after that: only what the table shows, or is still to take, must be there. */
async function verifyFiles(
  facts: LakeFacts,
  task: string,
  data: readonly DataRecord[],
  markers: ReadonlyMap<string, number>,
  problems: ChainProblem[],
): Promise<void> {
  const replaced = replacedFiles(data)
  for (const { epoch, files } of data) {
    for (const [path, staged] of Object.entries(files)) {
      if (staged.length === 0) continue
      const table = await facts.table(path)
      const sizes = await facts.sizesBelow(`${path}/`)
      const isPublished = (markers.get(path) ?? -1) >= epoch
      for (const file of staged) {
        const why = fileProblem(file, `${path}/${decodeURIComponent(file.path)}`, sizes)
        if (why !== null && (!isPublished || table?.files.has(file.path) === true)) {
          problems.push({ code: 'data-file', task, epoch, message: why })
        }
        const isReplaced = replaced.has(`${path}/${file.path}`)
        if (isPublished && why === null && !isReplaced && !isKnown(table, file)) {
          const message = `${path} is marked with epoch ${epoch}, but does not have its file ${file.path}`
          problems.push({ code: 'unpublished', task, epoch, message })
        }
      }
    }
  }
}

/** Files that a later epoch has replaced. Where both were published in one commit, the table has never had them. */
function replacedFiles(data: readonly DataRecord[]): ReadonlySet<string> {
  const removes = data.flatMap((record) => Object.entries(record.removes ?? {}))
  return new Set(removes.flatMap(([path, files]) => files.map((file) => `${path}/${file.path}`)))
}

function fileProblem(file: StagedFile, key: string, sizes: ReadonlyMap<string, number>): string | null {
  const size = sizes.get(key)
  if (size === undefined) return `${key} is gone`
  return size === file.size ? null : `${key} has ${size} bytes, and should have ${file.size}`
}

/** In the table, or taken out of it so lately that the log remembers it. */
function isKnown(table: ReadTableState | null, { path }: StagedFile): boolean {
  return table !== null && (table.files.has(path) || table.tombstones.has(path))
}
