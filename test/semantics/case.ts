import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TestRecord } from '../../src/testing/rows-source.ts'

/** Cases of documented semantics as data: `cases/*.json`, each a list of them. How to read one is in `cases/README.md`. */
export interface SemanticsCase {
  readonly name: string
  /** What an engine documents, in our words, and where. */
  readonly source: string
  readonly link: string
  readonly timeline: readonly string[]
  readonly program: CaseProgram
  readonly steps: readonly CaseStep[]
  /** The last revision of every result, with the columns that the case looks at. */
  readonly rows: readonly CaseRow[]
  /** The same of the window below, where there are two. */
  readonly below?: readonly CaseRow[]
  /** By name of the step. Late rows are marked in `steps`. */
  readonly dropped?: Readonly<Record<string, number>>
}

export interface CaseProgram {
  readonly watermark?: CaseWatermark
  /** Fields of a record, or the names of functions in `program.ts`. Default: `key`. */
  readonly keyBy?: readonly string[]
  readonly filter?: string
  readonly dedupe?: { readonly by: readonly string[]; readonly within: number }
  readonly unique?: {
    readonly by: readonly string[]
    readonly within: number
    readonly allowedLateness: number
  }
  readonly window?: CaseWindow
  readonly allowedLateness?: number
  readonly late?: 'dead-letter' | 'side-table' | 'drop'
  readonly early?: { readonly every?: number; readonly rows?: number }
  readonly refine?: boolean
  /** By column: the name of the aggregator and its arguments. Default: `rows` (count) and `sum` (of `value`). */
  readonly aggregates?: CaseAggregates
  readonly having?: string
  /** A window over the results. */
  readonly above?: CaseStage
  /** Merge tasks of each stage. */
  readonly slices?: number
}

export interface CaseStage {
  readonly keyBy: readonly string[]
  readonly window: CaseWindow
  readonly allowedLateness?: number
  readonly aggregates: CaseAggregates
  readonly having?: string
}

export type CaseAggregates = Readonly<Record<string, readonly [string, ...unknown[]]>>

export type CaseWatermark = {
  readonly idleAfter?: number
  readonly futureLimit?: number
} & (
  | { readonly kind: 'bounded'; readonly bound: number }
  | { readonly kind: 'ascending' }
  | { readonly kind: 'punctuated'; readonly field: string }
  | { readonly kind: 'custom'; readonly function: string }
)

export type CaseWindow =
  | { readonly kind: 'tumbling'; readonly size: number; readonly offset?: number }
  | {
      readonly kind: 'calendar'
      readonly unit: 'day' | 'week' | 'month'
      readonly timeZone: string
      readonly weekStartsOn?: string
    }
  | { readonly kind: 'hopping'; readonly size: number; readonly every: number; readonly offset?: number }
  | { readonly kind: 'sliding'; readonly size: number }
  | { readonly kind: 'session'; readonly gap: number; readonly gapField?: string }
  | { readonly kind: 'count'; readonly rows: number }
  | { readonly kind: 'global' }

export type CaseStep = CaseRecord | CaseCheckpoint | CaseQuiet

/** Times are milliseconds since 1970, or ISO 8601. */
export interface CaseRecord {
  readonly key: string | null
  readonly at: number | string | null
  readonly value?: number | null
  readonly score?: number | null
  readonly gap?: number | null
  readonly mark?: number | string | null
  readonly zone?: string
  /** Default: 0. */
  readonly partition?: number
  /** Default: the newest event time so far. */
  readonly arrival?: number
  /** The row is late. */
  readonly late?: true
  /** It becomes a dead letter for this reason. */
  readonly letter?: string
}

/** All partitions end their epochs, and the merge ends one of its own. */
export interface CaseCheckpoint {
  /** After a restart everybody goes on from what was recorded. */
  readonly checkpoint: 'epoch' | 'restart'
  /** The results that this merge epoch writes, with their revisions. Where it is absent nobody looks. */
  readonly fires?: readonly CaseRow[]
  /** The results that it takes back. */
  readonly retracts?: readonly CaseRow[]
}

/** The arrival clock has come to here, and some partitions have sent nothing. */
export interface CaseQuiet {
  readonly quiet: number
}

/** `start` and `end` are the window's bounds, as numbers or ISO 8601. */
export type CaseRow = Readonly<Record<string, unknown>>

export interface CaseFile {
  readonly about: string
  readonly cases: readonly SemanticsCase[]
}

export function caseFiles(): readonly (CaseFile & { readonly file: string })[] {
  const folder = fileURLToPath(new URL('cases/', import.meta.url))
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({ file, ...(JSON.parse(readFileSync(`${folder}${file}`, 'utf8')) as CaseFile) }))
}

export function isRecord(step: CaseStep): step is CaseRecord {
  return 'at' in step
}

/** A record of a case with all that its row has. */
export interface PlacedRecord {
  readonly step: CaseRecord
  readonly partition: number
  readonly offset: number
  readonly arrivalMs: number
  readonly row: Readonly<Record<string, unknown>>
}

/** The records of a case in their order, each with its place in its partition. */
export function recordsOf({ steps }: SemanticsCase): readonly PlacedRecord[] {
  const counts = new Map<number, number>()
  let clockMs = -Infinity
  return steps.flatMap((step) => {
    if ('quiet' in step) clockMs = Math.max(clockMs, step.quiet)
    if (!isRecord(step)) return []
    const { partition = 0 } = step
    const offset = counts.get(partition) ?? 0
    counts.set(partition, offset + 1)
    const at = millisOf(step.at)
    clockMs = Math.max(clockMs, step.arrival ?? at ?? clockMs)
    return [{ step, partition, offset, arrivalMs: step.arrival ?? clockMs, row: rowOf(step, at) }]
  })
}

function rowOf(step: CaseRecord, at: number | null): PlacedRecord['row'] {
  return {
    key: step.key,
    at,
    value: step.value === undefined ? 1 : step.value,
    score: step.score ?? null,
    gap: step.gap ?? null,
    mark: millisOf(step.mark ?? null),
    place: { zone: step.zone ?? 'nowhere' },
  }
}

export function millisOf(time: number | string | null): number | null {
  return typeof time === 'string' ? Date.parse(time) : time
}

export function testRecord({ row, partition, arrivalMs }: PlacedRecord): TestRecord {
  return { row, partition, arrivalMs }
}
