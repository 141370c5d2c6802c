import { describe, expect, it } from 'vitest'
import { isFilesLine, LiveFiles } from '../../src/runtime/live-files.ts'
import type { StagedFile } from '../../src/ports.ts'

const file = (path: string): StagedFile => ({
  path,
  size: 7,
  rows: 1,
  partitionValues: { day: '2024-01-01' },
  stats: '{"numRecords":1}',
  modifiedMs: 5,
  tags: { 'millrace.epoch': '1' },
})
const removed = (path: string) => ({ path, size: 7, partitionValues: { day: '2024-01-01' } })

describe('the files of epochs that may be replaced', () => {
  it('are those of the epoch in each table, with what a log needs to take them out', () => {
    const files = new LiveFiles()
    files.keep(3, [{ 'gold/a': [file('a3'), file('b3')], 'gold/b': [] }])
    files.keep(4, [{ 'gold/a': [], 'gold/b': [file('c4')] }])
    expect(files.of('gold/a', [3, 4])).toEqual([removed('a3'), removed('b3')])
    expect(files.of('gold/b', [3, 4])).toEqual([removed('c4')])
    expect(files.of('gold/a', [])).toEqual([])
  })

  it('of an epoch that replaced nothing when it should have are those of the older one too', () => {
    const files = new LiveFiles()
    files.keep(5, [{ 'gold/a': [removed('a3')] }, { 'gold/a': [file('a5')] }])
    expect(files.of('gold/a', [5]).map(({ path }) => path)).toEqual(['a3', 'a5'])
  })

  it('come back from a base and its changes, and go when nothing of them can be written anew', () => {
    const files = new LiveFiles()
    files.keep(3, [{ 'gold/a': [file('a3')] }])
    files.keep(9, [{ 'gold/a': [file('a9')] }])
    const base = JSON.parse(JSON.stringify(files.lineSince(-1))) as unknown
    files.keep(12, [{ 'gold/a': [file('a12')] }])
    const changes = JSON.parse(JSON.stringify(files.lineSince(9))) as unknown
    expect(JSON.stringify(changes)).not.toContain('a9')

    const restored = new LiveFiles()
    for (const line of [base, changes]) {
      if (!isFilesLine(line)) throw new Error('a line of files is known as one')
      restored.restore(line)
    }
    restored.prune(new Set([3, 12]))
    expect(restored.of('gold/a', [3, 12])).toEqual([removed('a3'), removed('a12')])
    expect(() => restored.of('gold/a', [9])).toThrow('does not know the files of its epoch 9')
    expect(isFilesLine({ counts: {} })).toBe(false)
  })
})
