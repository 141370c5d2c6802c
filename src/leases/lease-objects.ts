import { PipelineError } from '../errors.ts'

/** Every key that a membership by leases writes, and what is in them, in one place. */

const DIGITS = 12
const VERSION = 1

/** A member, for as long as it has not lost the group; when it joins again it is another. */
export interface MemberBody {
  /** As the process is called by people. */
  readonly name: string | null
  /** How long others are to wait for its number to move. */
  readonly ttlMs: number
  /** By its own clock: for people. */
  readonly startedMs: number
  /** Members that this one is in place of: they are dead, whatever they say, and what they held is its. */
  readonly supersedes: readonly string[]
}

export interface LeaseBody {
  /** Who held the task last, where it is free. */
  readonly owner: string
  /** Who has asked for it. Its owner lets it go first. */
  readonly handTo: string | null
  readonly state: 'held' | 'free' | 'ended'
}

export type LeaseKey =
  | { readonly kind: 'member'; readonly id: string; readonly number: number }
  | { readonly kind: 'lease'; readonly task: string; readonly number: number }
  | { readonly kind: 'ended'; readonly task: string }

export class LeaseKeys {
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Everything. */
  get prefix(): string {
    return this.#prefix
  }

  /** Sorts behind the marks of tasks that have ended, which are as many as there ever were, and before all that changes. */
  get beforeMembers(): string {
    return `${this.#prefix}members`
  }

  /** One object for each heartbeat. The numbers go up; an id is [0-9a-z]+. */
  member(id: string, number: number): string {
    return `${this.#prefix}members/${id}-${pad(number)}.json`
  }

  /** The newest number counts. */
  lease(task: string, number: number): string {
    return `${this.#prefix}tasks/${task}/${pad(number)}.json`
  }

  /** Stays when the leases of an ended task are swept away. */
  ended(task: string): string {
    return `${this.#prefix}ended/${task}.json`
  }

  /** Null where it is none of these. */
  parse(key: string): LeaseKey | null {
    const match =
      /^(?:members\/(?<id>[0-9a-z]+)-(?<beat>\d{12})|tasks\/(?<task>[^/]+)\/(?<turn>\d{12})|ended\/(?<ended>[^/]+))\.json$/.exec(
        key.slice(this.#prefix.length),
      )
    const { id, beat, task, turn, ended } = match?.groups ?? {}
    if (id !== undefined) return { kind: 'member', id, number: Number(beat) }
    if (task !== undefined) return { kind: 'lease', task, number: Number(turn) }
    if (ended !== undefined) return { kind: 'ended', task: ended }
    return null
  }
}

export function encodeMember(body: MemberBody): Uint8Array {
  return encode(body)
}

export function encodeLease(body: LeaseBody): Uint8Array {
  return encode(body)
}

/** Throws LEASES_UNREADABLE. */
export function parseMember(key: string, bytes: Uint8Array): MemberBody {
  const { name, ttlMs, startedMs, supersedes } = parse(key, bytes)
  const isRight =
    (name === null || typeof name === 'string') &&
    typeof ttlMs === 'number' &&
    typeof startedMs === 'number' &&
    isTexts(supersedes)
  if (!isRight) throw unreadable(key)
  return { name, ttlMs, startedMs, supersedes }
}

/** Throws LEASES_UNREADABLE. */
export function parseLease(key: string, bytes: Uint8Array): LeaseBody {
  const { owner, handTo, state } = parse(key, bytes)
  const isRight =
    typeof owner === 'string' &&
    (handTo === null || typeof handTo === 'string') &&
    (state === 'held' || state === 'free' || state === 'ended')
  if (!isRight) throw unreadable(key)
  return { owner, handTo, state }
}

function encode(body: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: VERSION, ...body }))
}

function parse(key: string, bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    throw unreadable(key)
  }
  if (typeof value !== 'object' || value === null) throw unreadable(key)
  const body = value as Record<string, unknown>
  if (body['version'] !== VERSION) throw unreadable(key)
  return body
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}

function unreadable(key: string): PipelineError {
  return new PipelineError('LEASES_UNREADABLE', `${key} is no lease that this version can read.`, {
    advice:
      'Another version of Millrace, or another program, writes there. Stop all processes of the pipeline, then start those of one version. What lies below members/, tasks/ and ended/ is found again: it may be deleted while nothing runs.',
  })
}

function pad(number: number): string {
  return String(number).padStart(DIGITS, '0')
}
