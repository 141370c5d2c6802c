import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AssignmentMember, assignTasks } from '../../../consumers/kafka/group-assignor.ts'

const partitions = (topic: string, count: number): string[] =>
  Array.from({ length: count }, (_, partition) => `${topic}/${partition}`)

const newcomer = (id: string): AssignmentMember => ({ id, generation: -1, owned: [] })

type Given = ReadonlyMap<string, readonly string[]>

/** The members as they join the next round: with what this one gave them. */
const after = (members: readonly AssignmentMember[], given: Given, generation = 1): AssignmentMember[] =>
  members.map(({ id }) => ({ id, generation, owned: given.get(id)! }))

const sizes = (given: Given): number[] => [...given.values()].map((tasks) => tasks.length)
const spreadOf = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts)

const groups = fc
  .tuple(fc.nat(20), fc.nat(7), fc.nat(3))
  .map(([trips, taxis, merge]) => [
    partitions('trips', trips),
    partitions('taxis', taxis),
    Array.from({ length: merge }, (_, index) => `merge-${index}`),
  ])
const ids = fc.uniqueArray(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'), {
  minLength: 1,
})

/** Members in any state that a group can get into: every task with one owner, with none, or claimed by two. */
const group = fc.tuple(groups, ids).chain(([tasks, members]) => {
  const claims = fc.array(fc.constantFrom(null, ...members), { minLength: 60, maxLength: 60 })
  return fc
    .tuple(claims, claims, fc.array(fc.nat(2), { minLength: 9, maxLength: 9 }))
    .map(([first, second, generations]) => ({
      tasks,
      members: members.map((id, rank) => ({
        id,
        generation: generations[rank]!,
        owned: [...tasks.flat(), 'deleted/0'].filter(
          (_, index) => first[index] === id || (index % 9 === 0 && second[index] === id),
        ),
      })),
    }))
})

describe('the assignment', () => {
  it('gives each task to one member at most, and to none that another still runs', () => {
    fc.assert(
      fc.property(group, ({ tasks, members }) => {
        const given = assignTasks(tasks, members)
        const all = [...given.values()].flat()
        expect(new Set(all).size).toBe(all.length)
        for (const [member, got] of given) {
          const own = new Set(members.find(({ id }) => id === member)!.owned)
          for (const task of got) {
            expect(tasks.flat()).toContain(task)
            if (own.has(task)) continue
            expect(members.filter(({ owned }) => owned.includes(task)).map(({ id }) => id)).toEqual([])
          }
        }
      }),
    )
  })

  it('is complete, even and at rest after two rounds', () => {
    fc.assert(
      fc.property(group, ({ tasks, members }) => {
        const second = after(members, assignTasks(tasks, members), 5)
        const given = assignTasks(tasks, second)
        expect([...given.values()].flat().toSorted()).toEqual(tasks.flat().toSorted())
        expect(spreadOf(sizes(given))).toBeLessThanOrEqual(1)
        for (const { id, owned } of second) expect(given.get(id)).toEqual(expect.arrayContaining([...owned]))
        expect(assignTasks(tasks, after(second, given, 6))).toEqual(given)
      }),
    )
  })

  it('moves no more than evenness asks for', () => {
    fc.assert(
      fc.property(groups, ids, ids, (tasks, before, now) => {
        const start = before.map(newcomer)
        const settled = after(start, assignTasks(tasks, start))
        const kept = settled.filter(({ id }) => now.includes(id))
        const joined = now.filter((id) => !before.includes(id)).map(newcomer)
        const members = [...kept, ...joined]
        const given = assignTasks(tasks, members)
        const taken = kept.reduce(
          (sum, { id, owned }) => sum + owned.filter((task) => !given.get(id)!.includes(task)).length,
          0,
        )
        const least = Math.floor(tasks.flat().length / now.length)
        const extra = tasks.flat().length % now.length
        const loads = kept.map(({ owned }) => owned.length).toSorted((a, b) => b - a)
        const needed = loads.reduce(
          (sum, load, rank) => sum + Math.max(0, load - least - (rank < extra ? 1 : 0)),
          0,
        )
        expect(taken).toBe(needed)
      }),
    )
  })

  it('does not depend on the order of the members, or of what they own', () => {
    fc.assert(
      fc.property(group, fc.infiniteStream(fc.nat(1000)), ({ tasks, members }, keys) => {
        const shuffled = <Item>(items: readonly Item[]): Item[] =>
          items
            .map((item) => ({ item, key: keys.next().value! }))
            .toSorted((a, b) => a.key - b.key)
            .map(({ item }) => item)
        const given = assignTasks(tasks, members)
        const again = assignTasks(
          tasks,
          shuffled(members).map((member) => ({ ...member, owned: shuffled(member.owned) })),
        )
        for (const [member, got] of given) expect(again.get(member)).toEqual(got)
      }),
    )
  })

  it('spreads every topic and the merge tasks over members that start together', () => {
    fc.assert(
      fc.property(groups, ids, (tasks, members) => {
        const given = assignTasks(tasks, members.map(newcomer))
        for (const one of tasks) {
          const counts = [...given.values()].map((got) => got.filter((task) => one.includes(task)).length)
          expect(spreadOf(counts)).toBeLessThanOrEqual(1)
        }
      }),
    )
  })

  it('hands over in two rounds: first nobody has what moves, then its new owner', () => {
    const tasks = [partitions('trips', 4), ['merge-0']]
    const alone = after([newcomer('a')], assignTasks(tasks, [newcomer('a')]))
    const together = [...alone, newcomer('b')]
    const first = assignTasks(tasks, together)
    expect(first.get('a')).toEqual(['trips/0', 'trips/1', 'merge-0'])
    expect(first.get('b')).toEqual([])
    const second = assignTasks(tasks, after(together, first))
    expect(second.get('a')).toEqual(first.get('a'))
    expect(second.get('b')).toEqual(['trips/2', 'trips/3'])
  })

  it('gives what a dead member had to the others at once, and new partitions to those that have fewest', () => {
    const start = ['a', 'b', 'c'].map(newcomer)
    const settled = after(start, assignTasks([partitions('trips', 6)], start))
    const [a, b] = settled as [AssignmentMember, AssignmentMember]
    const left = assignTasks([partitions('trips', 6)], [a, b])
    expect(left.get('a')).toEqual(expect.arrayContaining([...a.owned]))
    expect(left.get('b')).toEqual(expect.arrayContaining([...b.owned]))
    expect(sizes(left)).toEqual([3, 3])
    expect(sizes(assignTasks([partitions('trips', 9)], settled))).toEqual([3, 3, 3])
  })
})
