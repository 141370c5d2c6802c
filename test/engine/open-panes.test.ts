import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBatch, truncateBatch } from '../../src/columns/column.ts'
import type { Field } from '../../src/columns/column-type.ts'
import { appendText, binaryColumn } from '../../src/columns/write.ts'
import { RowCount } from '../../src/engine/accumulate/row-count.ts'
import { DueList } from '../../src/engine/due-list.ts'
import { keyToJson } from '../../src/engine/key-codec.ts'
import { OpenPanes } from '../../src/engine/open-panes.ts'

const ZONE: Field = { name: 'zone', type: { kind: 'string' }, nullable: false }
const ROWS: Field = { name: 'rows', type: { kind: 'int64' }, nullable: false }

class Panes {
  readonly panes = new OpenPanes([ZONE], () => [new RowCount(ROWS)])
  readonly #key = createBatch([ZONE])

  find(zone: string, startMs: number): number {
    return this.panes.find(this.#keyId(zone), startMs)
  }

  add(zone: string, startMs: number): number {
    return this.panes.add(this.#keyId(zone), startMs)
  }

  zoneOf(pane: number): unknown {
    const { keys } = this.panes
    const id = this.panes.keyIdOf(pane)
    return keyToJson(keys.columnsOf(id)[0]!, keys.rowOf(id))
  }

  #keyId(zone: string): number {
    truncateBatch(this.#key, 0)
    appendText(binaryColumn(this.#key.columns[0]!), zone)
    return this.panes.keys.idOf(this.#key.columns, 0)
  }
}

describe('open panes', () => {
  it('are found again, and no others, while keys and windows come and go', () => {
    const steps = fc.array(
      fc.record({ zone: fc.nat(2_000), windows: fc.integer({ min: 1, max: 3 }), startMs: fc.nat(50) }),
      { minLength: 200, maxLength: 900 },
    )
    fc.assert(
      fc.property(steps, fc.integer({ min: 5, max: 60 }), (drawn, lifetime) => {
        const open = new Panes()
        const known = new Map<string, number>()
        drawn.forEach(({ zone, windows, startMs }, now) => {
          for (let w = 0; w < windows; w++) {
            const start = (startMs - 25) * 1000 + w
            const name = `zone ${zone} ${start}`
            const pane = open.find(`zone ${zone}`, start)
            expect(pane).toBe(known.get(name) ?? -1)
            if (pane < 0) known.set(name, open.add(`zone ${zone}`, start))
          }
          // Windows that have been open for some steps go, those of one key together.
          for (const [name, pane] of now % 7 === 0 ? [...known].slice(0, -lifetime) : []) {
            open.panes.remove(pane)
            known.delete(name)
          }
        })
        expect(open.panes.open).toBe(known.size)
        expect(new Set(known.values()).size).toBe(known.size)
        for (const [name, pane] of known) {
          expect(`${String(open.zoneOf(pane))} ${open.panes.startOf(pane)}`).toBe(name)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('give their places to new ones, empty', () => {
    const open = new Panes()
    const pane = open.add('a', 0)
    open.panes.accumulatorsOf(pane)[0]!.read(open.panes.placeOf(pane), 5)
    open.add('b', 0)
    open.panes.remove(pane)
    const next = open.add('c', 7)
    expect(next).toBe(pane)
    expect(open.panes.accumulatorsOf(next)[0]!.write(open.panes.placeOf(next))).toBeNull()
  })

  it('forget keys that have no window any more', () => {
    const open = new Panes()
    for (let i = 0; i < 100_000; i++) open.panes.remove(open.add(`zone ${i}`, i))
    // One that is gone would be found under its old id: ids are of keys that are there.
    expect(open.panes.keys.size).toBeLessThan(1_000)
  })
})

describe('a due list', () => {
  it('gives each pane when it is due, at the time that it has then', () => {
    const dueMs = new Map<number, number>()
    const list = new DueList((pane) => dueMs.get(pane) ?? Number.NaN)
    const add = (pane: number, ms: number): void => {
      dueMs.set(pane, ms)
      list.add(pane, ms)
    }
    const taken = (nowMs: number): number[] => {
      const panes: number[] = []
      list.takeDue(nowMs, (pane) => {
        panes.push(pane)
        dueMs.delete(pane)
      })
      return panes.sort((a, b) => a - b)
    }
    add(1, 100)
    add(2, 900)
    add(3, 5_000)
    add(4, Infinity)
    add(5, -2_500)
    expect(list.nextMs).toBe(-2_500)
    expect(taken(-3_000)).toEqual([])
    expect(taken(100)).toEqual([1, 5])
    add(3, 7_000)
    expect(taken(6_000)).toEqual([2])
    expect(list.nextMs).toBe(7_000)
    expect(taken(1e15)).toEqual([3])
    expect(taken(Infinity)).toEqual([4])
    expect(list.nextMs).toBe(Infinity)
  })
})
