import type { Fingerprint, FingerprintChange } from '../topology/fingerprint.ts'
import { diffFingerprints } from '../topology/fingerprint.ts'
import { shortTime } from './format.ts'
import type { Channel } from './terminal.ts'

/** What a lake has been written by, and what is to run now. */
export interface ProgramDiff {
  readonly pipeline: string
  readonly incarnation: number
  /** Of the incarnation: 1 is the one that it began with. */
  readonly program: number
  /** ISO 8601: since when that program runs. */
  readonly since: string
  readonly changes: readonly FingerprintChange[]
}

export interface RecordedProgram extends Omit<ProgramDiff, 'changes'> {
  readonly fingerprint: Fingerprint
}

export function programDiff({ fingerprint, ...recorded }: RecordedProgram, now: Fingerprint): ProgramDiff {
  return { ...recorded, changes: diffFingerprints(fingerprint, now) }
}

/** Whether a run of the program goes on with what the lake has. */
export function isRefused({ changes }: ProgramDiff): boolean {
  return changes.some(({ kind }) => kind !== 'added')
}

/** For a person: each step that differs, how, and what a run makes of that. */
export function programDiffText(diff: ProgramDiff, out: Channel): string {
  const { pipeline, incarnation, program, since, changes } = diff
  const head = `${out.style('bold', pipeline)}, incarnation ${incarnation}, program ${program}, since ${shortTime(since)}`
  if (changes.length === 0) return `${head}\nThe program is the same.\n`
  const sorted = changes.toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))
  return `${[head, '', ...sorted.flatMap((change) => changeLines(change, out)), '', ...advice(changes)].join('\n')}\n`
}

const ORDER = ['changed', 'removed', 'added'] as const
const SIGNS = { changed: ['~', 'yellow'], removed: ['-', 'red'], added: ['+', 'green'] } as const

function changeLines({ step, kind, was, is }: FingerprintChange, out: Channel): readonly string[] {
  const [sign, colour] = SIGNS[kind]
  const head = out.style(colour, `${sign} ${step} ${kind}`)
  if (kind === 'changed' && was === undefined)
    return [head, '    (the lake was written by a version that did not note what its steps do)']
  return [
    head,
    ...(was ?? []).map((line) => out.style('red', `    - ${line}`)),
    ...(is ?? []).map((line) => out.style('green', `    + ${line}`)),
  ]
}

function advice(changes: readonly FingerprintChange[]): readonly string[] {
  const has = (kind: FingerprintChange['kind']): boolean => changes.some((change) => change.kind === kind)
  if (has('changed'))
    return [
      'What was changed has state and rows of before that would mean something else now: a run refuses it. --fresh begins a new incarnation from the start',
      'of the source, --backfill one from the bronze history; both replace what the tables hold.',
    ]
  if (has('removed'))
    return [
      'A run refuses a program that has lost steps, unless with --allow-removed: their state is dropped, and their tables stay as they are.',
    ]
  return [
    'A run takes it: what is new begins with the records that come then. --backfill begins a new incarnation from the bronze history, so that it has the past too.',
  ]
}
