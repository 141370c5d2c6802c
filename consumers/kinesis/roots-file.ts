import { PipelineError } from '../../src/errors.ts'
import type { MembershipPlace } from '../../src/ports.ts'
import type { Roots } from './lineage.ts'
import { encodePlace, parsePlace } from './position.ts'

const VERSION = 1

interface RootsRecord {
  readonly version: number
  readonly createdMs: number
  readonly decidedMs: number
  readonly begin: Readonly<Record<string, string>>
  readonly unread: readonly string[]
  readonly goesOn?: true
}

/** What the pipeline decided when it began, by whichever process came first. Null where nothing is decided yet. */
export async function loadRoots({ store, prefix }: MembershipPlace): Promise<Roots | null> {
  const key = keyOf(prefix)
  const body = await store.get(key)
  return body === null ? null : decodeRoots(body, key)
}

/** Puts the decision where nobody has; gives the one that counts. */
export async function settleRoots(place: MembershipPlace, roots: Roots): Promise<Roots> {
  const outcome = await place.store.putIfAbsent(keyOf(place.prefix), encodeRoots(roots))
  if (outcome === 'created') return roots
  return (await loadRoots(place)) ?? roots
}

function keyOf(prefix: string): string {
  return `${prefix}roots.json`
}

function encodeRoots({ createdMs, decidedMs, begin, unread, goesOn }: Roots): Uint8Array {
  const record: RootsRecord = {
    version: VERSION,
    createdMs,
    decidedMs,
    begin: Object.fromEntries([...begin].map(([shardId, place]) => [shardId, encodePlace(place)])),
    unread: [...unread],
    ...(goesOn && { goesOn }),
  }
  return new TextEncoder().encode(JSON.stringify(record))
}

function decodeRoots(body: Uint8Array, key: string): Roots {
  const { version, createdMs, decidedMs, begin, unread, goesOn } = JSON.parse(
    new TextDecoder().decode(body),
  ) as RootsRecord
  if (version !== VERSION) {
    throw new PipelineError('ROOTS_VERSION', `${key} has version ${String(version)}`, {
      advice: 'A newer Millrace wrote it. Run that version.',
    })
  }
  return {
    createdMs,
    decidedMs,
    begin: new Map(Object.entries(begin).map(([shardId, place]) => [shardId, parsePlace(place)])),
    unread: new Set(unread),
    ...(goesOn && { goesOn }),
  }
}
