import { expect, test } from 'vitest'
import { LeaseTasks } from '../../src/leases/lease-tasks.ts'
import type { SourcePartition } from '../../src/ports.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'

const shard = (id: string, parents: readonly string[] = []): SourcePartition => ({
  id,
  topic: 's',
  partition: Number(id.slice(2)),
  parents,
})

/** A source that lists these, and can make something of any 's-…'. */
function tasksOf(listed: readonly SourcePartition[], known: readonly string[] = []): LeaseTasks {
  const source = {
    partitions: async () => listed,
    partition: (id: string) => (id.startsWith('s-') ? shard(id) : null),
  }
  return new LeaseTasks(source, { store: memoryStore(), prefix: '_leases/', known }, ['merge-0'])
}

const idsOf = (partitions: readonly SourcePartition[]): string[] => partitions.map(({ id }) => id)
const nobody = (): boolean => false

test('a child is due when each of its parents has ended, and waits for none that nobody reads', async () => {
  const tasks = tasksOf([shard('s-1', ['s-0']), shard('s-2'), shard('s-3', ['s-1', 's-2'])])
  expect(await tasks.refresh()).toBe(true)
  expect(await tasks.refresh()).toBe(false)
  expect(tasks.due()).toEqual(['s-1', 's-2', 'merge-0'])
  expect(idsOf(tasks.all(nobody))).toEqual(['s-1', 's-2'])
  expect([tasks.end('s-1'), tasks.end('s-1')]).toEqual([true, false])
  expect(tasks.due()).toEqual(['s-2', 'merge-0'])
  tasks.end('s-2')
  expect(tasks.due()).toEqual(['s-3', 'merge-0'])
  expect(idsOf(tasks.all(nobody))).toEqual(['s-1', 's-2', 's-3'])
})

test('a shard that has a chain is due also where the source has forgotten it, and its children wait', async () => {
  const tasks = tasksOf([shard('s-1', ['s-0'])], ['s-0', 'of-another-source'])
  await tasks.refresh()
  expect(tasks.due()).toEqual(['s-0', 'merge-0'])
  expect(tasks.knows('of-another-source')).toBe(false)
  tasks.end('s-0')
  expect(tasks.due()).toEqual(['s-1', 'merge-0'])
})

test('what others have heard of is one of ours, and what has ended stays among all', async () => {
  const tasks = tasksOf([shard('s-1')])
  await tasks.refresh()
  expect([tasks.adopt('s-7'), tasks.adopt('merge2-0')]).toEqual([true, false])
  expect(await tasks.refresh()).toBe(true)
  tasks.end('s-0')
  expect(tasks.due()).toEqual(['s-1', 's-7', 'merge-0'])
  expect(idsOf(tasks.all(nobody))).toEqual(['s-0', 's-1', 's-7'])
})

test('a child that somebody has is among all, though its parents have not ended as far as is known here', async () => {
  const tasks = tasksOf([shard('s-0'), shard('s-1', ['s-0'])])
  await tasks.refresh()
  expect(idsOf(tasks.all((task) => task === 's-1'))).toEqual(['s-0', 's-1'])
})

test('what others have heard of is not due before the source has said whom it follows', async () => {
  const listed = [shard('s-1')]
  const tasks = tasksOf(listed)
  await tasks.refresh()
  // Somebody has a lease of it. Who took it over now would read it without what its parent knew.
  expect(tasks.adopt('s-2')).toBe(true)
  expect([tasks.knows('s-2'), tasks.due()]).toEqual([true, ['s-1', 'merge-0']])
  const late = tasks.refresh()
  tasks.adopt('s-3')
  expect(await late).toBe(true)
  expect(tasks.due()).toEqual(['s-1', 's-2', 'merge-0'])
  listed.push(shard('s-3', ['s-1']))
  await tasks.refresh()
  expect(tasks.due()).toEqual(['s-1', 's-2', 'merge-0'])
  expect(tasks.partitionsOf(new Set(['s-3']))).toEqual([shard('s-3', ['s-1'])])
})
