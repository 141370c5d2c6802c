import { describe, expect, it } from 'vitest'
import type { PartitionOffset } from '../../../consumers/kafka/group-coordinator.ts'
import { PublishedOffsets } from '../../../consumers/kafka/published-offsets.ts'
import { silent } from './group-kit.ts'

/** A coordinator that answers when the test says so. */
function slowGroup() {
  const asked: string[][] = []
  let answer: (taken: boolean) => void = () => {}
  let fail: (error: Error) => void = () => {}
  const offsets = new PublishedOffsets((sent: readonly PartitionOffset[]) => {
    asked.push(sent.map(({ partition, offset }) => `${partition}:${offset}`))
    return new Promise((resolve, reject) => {
      answer = resolve
      fail = reject
    })
  }, silent)
  const show = (partition: number, offset: string) =>
    offsets.show({ clusterId: 'c', groupId: 'g', topic: 'trips', partition, offset })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    offsets,
    asked,
    show,
    settle,
    answer: (taken: boolean) => answer(taken),
    fail: () => fail(new Error('no')),
  }
}

describe('published offsets', () => {
  it('go one request at a time, and of each partition the newest', async () => {
    const { asked, show, settle, answer, offsets } = slowGroup()
    show(0, '1')
    show(1, '5')
    await settle()
    show(0, '2')
    show(0, '3')
    await settle()
    expect(asked).toEqual([['0:1', '1:5']])
    answer(true)
    await settle()
    expect(asked.slice(1)).toEqual([['0:3']])
    const flushed = offsets.flush()
    answer(true)
    await flushed
    show(0, '4')
    await settle()
    expect(asked.slice(2)).toEqual([['0:4']])
  })

  it('wait while nobody would take them, and are overtaken meanwhile', async () => {
    const { asked, show, settle, answer, offsets } = slowGroup()
    show(0, '1')
    show(1, '1')
    await settle()
    show(0, '2')
    answer(false)
    await settle()
    expect(asked).toHaveLength(1)
    offsets.resume()
    await settle()
    expect(asked[1]!.toSorted()).toEqual(['0:2', '1:1'])
  })

  it('are forgotten where they could not be shown, or the partition is not ours', async () => {
    const { asked, show, settle, answer, fail, offsets } = slowGroup()
    show(0, '1')
    await settle()
    fail()
    await settle()
    expect(asked).toHaveLength(1)
    show(0, '2')
    await settle()
    answer(false)
    await settle()
    offsets.forget()
    offsets.resume()
    await settle()
    expect(asked).toEqual([['0:1'], ['0:2']])
  })
})
