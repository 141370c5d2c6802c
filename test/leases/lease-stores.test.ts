import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { directoryStore } from '../../sinks/directory-store.ts'
import { s3Store } from '../../sinks/s3/s3-store.ts'
import { LeaseMembership } from '../../src/leases/lease-membership.ts'
import type { Assignment, MembershipListener, ObjectStore, SourcePartition } from '../../src/ports.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { findS3, freshBucket } from '../parts/s3.ts'
import { SILENT } from '../support/world.ts'

const TIMES = { heartbeatMs: 150, ttlMs: 2_000, releaseMs: 2_000, refreshMs: 1_000 }
const MERGES = ['merge-0', 'merge-1']

const shard = (partition: number, parents: readonly number[] = []): SourcePartition => ({
  id: `s-${partition}`,
  topic: 's',
  partition,
  parents: parents.map((parent) => `s-${parent}`),
})

/** A membership in the real world, and what it was told. */
class Process implements MembershipListener {
  readonly membership: LeaseMembership
  tasks: readonly string[] = []
  all = 0
  failure: unknown = null
  #waiting: (() => void)[] = []

  constructor(store: ObjectStore, shards: readonly SourcePartition[]) {
    const source = { partitions: async () => shards, partition: () => null }
    const world = { clock: systemClock, entropy: systemEntropy, log: SILENT }
    this.membership = new LeaseMembership({ source, name: null, times: TIMES, world })
    void this.membership.join(MERGES, this, { store, prefix: 'a/_leases/', known: [] })
  }

  /** Resolves when what this process was told is so. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    if (this.failure !== null) throw this.failure
  }

  assigned({ partitions, mergeTasks, all }: Assignment): void {
    this.tasks = [...partitions.map(({ id }) => id), ...mergeTasks]
    this.all = all.length
    this.#wake()
  }

  async revoked(tasks: readonly string[]): Promise<void> {
    this.tasks = this.tasks.filter((task) => !tasks.includes(task))
  }

  lost(): void {
    this.tasks = []
  }

  failed(error: unknown): void {
    this.failure = error
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

async function share(store: ObjectStore): Promise<void> {
  const shards = [shard(0), shard(1)]
  const processes: Process[] = []
  try {
    const first = new Process(store, shards)
    processes.push(first)
    await first.until(() => first.tasks.length === 4)
    const second = new Process(store, shards)
    processes.push(second)
    await second.until(() => second.tasks.length === 2)
    await first.until(() => first.tasks.length === 2)
    expect([...first.tasks, ...second.tasks].sort()).toEqual(['merge-0', 'merge-1', 's-0', 's-1'])
    expect(await Promise.all(processes.map(({ membership }) => membership.confirm()))).toEqual([true, true])
    shards.push(shard(2, [0]), shard(3, [0]))
    const owner = processes.find(({ tasks }) => tasks.includes('s-0'))!
    owner.membership.ended('s-0')
    await Promise.all(
      processes.map((process) =>
        process.until(() => process.all === 4 && process.tasks.length >= 2 && !process.tasks.includes('s-0')),
      ),
    )
    await first.membership.leave()
    await second.until(() => second.tasks.length === 5)
  } finally {
    await Promise.all(processes.map(({ membership }) => membership.leave()))
  }
  // Everything is given back: nobody is there, and nobody has a task.
  expect(await store.list('a/_leases/members/')).toEqual([])
}

describe('leases in a folder', () => {
  test('are shared, handed over, ended and given back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-leases-'))
    try {
      await share(directoryStore(folder))
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

const server = await findS3()

describe.skipIf(server.kind === 'missing')('leases in S3', () => {
  if (server.kind === 'missing') return
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const stores: ObjectStore[] = []
  afterAll(async () => {
    for (const store of stores) await store.close?.()
  })

  test('are shared, handed over, ended and given back', async () => {
    const credentials = { accessKeyId, secretAccessKey }
    const store = s3Store({ bucket: await freshBucket(server), endpoint, region, credentials })
    stores.push(store)
    await share(store)
  })
})
