import { bronze, pipeline, stream } from 'millrace'
import { describe, expect, it } from 'vitest'
import { readTable } from '../../sinks/delta/read-table.ts'
import { ChainKeys } from '../../src/checkpoint/keys.ts'
import { lakeFacts } from '../../src/cli/checkpoints-verify.ts'
import { planVacuum } from '../../src/cli/vacuum-plan.ts'
import { verifyPipeline } from '../../src/cli/verify-chains.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { Reading, reading } from '../support/reading.ts'
import { rowsIn, start } from '../support/world.ts'

const readings = stream('readings', Reading)
const program = pipeline({ name: 'readings', tables: [bronze('readings', readings)], circuitBreaker: false })
const records = Array.from({ length: 12 }, (_, i) => reading(i))
const keys = new ChainKeys('readings', 1)
const BRONZE = 'bronze/readings'
const TABLES = [BRONZE, 'dead_letters']
const DAY_MS = 86_400_000

/** A store that knows when its objects were put: this long ago, or just now where they are named here. */
function aged(inner: ObjectStore, ageMs: number, young: ReadonlySet<string> = new Set()): ObjectStore {
  const nowMs = Date.now()
  return {
    ...bound(inner),
    list: async (prefix, startAfter) =>
      (await inner.list(prefix, startAfter)).map((object) => ({
        ...object,
        modifiedMs: young.has(object.key) ? nowMs : nowMs - ageMs,
      })),
  }
}

function bound(store: ObjectStore): ObjectStore {
  return {
    description: store.description,
    putIfAbsent: (key, body) => store.putIfAbsent(key, body),
    put: (key, body) => store.put(key, body),
    get: (key) => store.get(key),
    list: (prefix, startAfter) => store.list(prefix, startAfter),
    listFolders: (prefix) => store.listFolders!(prefix),
    delete: (key) => store.delete(key),
  }
}

async function wouldGo(lake: ObjectStore, nowMs = Date.now()): Promise<readonly string[]> {
  const parts = await planVacuum(lake, TABLES, nowMs - 7 * DAY_MS, nowMs)
  return parts.flatMap(({ objects }) => objects.map(({ key }) => key))
}

describe('a vacuum', () => {
  it('takes nothing that a table or a record names, however old', async () => {
    const lake = memoryStore()
    await start(program, { lake, records, epochRows: 3 })
    expect(await wouldGo(aged(lake, 100 * DAY_MS))).toEqual([])
  })

  it('takes what nothing names and nobody can record any more, when it is old', async () => {
    const lake = memoryStore()
    await start(program, { lake, records, epochRows: 3 })
    const last = (await lake.list(keys.chainPrefix('readings-0'))).length - 1
    const name = { claim: 0, nonce: 'sleeper' }
    const spent = `${BRONZE}/${keys.file('readings-0', { ...name, epoch: last }, 0, 'parquet')}`
    // Its owner may have slept since, and record it when it wakes up.
    const pending = `${BRONZE}/${keys.file('readings-0', { ...name, epoch: last + 1 }, 0, 'parquet')}`
    const state = keys.staged('readings-0', { ...name, epoch: last - 1 }, 'dedupe')
    const foreign = `${BRONZE}/part-00000.parquet`
    for (const key of [spent, pending, state, foreign]) await lake.put(key, new Uint8Array(3))
    expect(new Set(await wouldGo(aged(lake, 8 * DAY_MS)))).toEqual(new Set([spent, state, foreign]))
    expect(await wouldGo(aged(lake, 6 * DAY_MS))).toEqual([])
    expect(await wouldGo(aged(lake, 8 * DAY_MS, new Set([spent, foreign])))).toEqual([state])
    // A store that cannot tell ages keeps everything.
    expect(await wouldGo(lake)).toEqual([])
  })

  it('takes what an incarnation leaves behind, but its seals, and files that left a table long ago', async () => {
    const lake = memoryStore()
    await start(program, { lake, records, epochRows: 3 })
    const files = [...(await readTable(lake, BRONZE))!.files.keys()].map((file) => `${BRONZE}/${file}`)
    await lake.put(`${keys.leasePrefix}tasks/readings-0/000000000001.json`, new Uint8Array(3))
    await lake.put(`${keys.leasePrefix}roots.json`, new Uint8Array(3))
    await start(program, { lake, records, epochRows: 5, fresh: true })
    const old = aged(lake, 100 * DAY_MS)
    // The seals are young, and so is the removal.
    expect(await wouldGo(old)).toEqual([])
    const later = await wouldGo(old, Date.now() + 10 * DAY_MS)
    expect(later.filter((key) => key.startsWith(BRONZE)).sort()).toEqual(files.sort())
    for (const key of later) await lake.delete(key)
    const left = await lake.list(keys.root)
    expect(left.map(({ key }) => key.slice(keys.root.length))).toEqual([
      '_schemas/1.json',
      'merge-0/000000000000.json',
      'readings-0/000000000006.json',
    ])
    const problems = (await verifyPipeline(lakeFacts(lake), 'readings')).flatMap((chain) => chain.problems)
    expect(problems).toEqual([])
    expect(await rowsIn(lake, BRONZE)).toHaveLength(records.length)
    expect(await start(program, { lake, records })).toMatchObject({ outcome: 'nothing-to-do' })
  })
})
