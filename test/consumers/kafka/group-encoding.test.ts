import fc from 'fast-check'
import { AssignerProtocol } from 'kafkajs'
import { describe, expect, it } from 'vitest'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from '../../../consumers/kafka/group-encoding.ts'

const topic = fc.stringMatching(/^[a-zA-Z0-9._-]{1,20}$/)
const counts = fc.dictionary(topic, fc.nat(1000)).map((entries) => new Map(Object.entries(entries)))
const tasks = fc.record({
  partitions: fc.dictionary(topic, fc.array(fc.nat(1000))).map((entries) => new Map(Object.entries(entries))),
  mergeTasks: fc.array(fc.stringMatching(/^merge-[0-9]$/)),
})

describe('what members tell each other', () => {
  it('comes out as it went in', () => {
    fc.assert(
      fc.property(tasks, counts, fc.integer({ min: -1, max: 2 ** 31 - 1 }), (owned, known, generation) => {
        const subscription = { generation, owned, counts: known }
        expect(decodeSubscription(encodeSubscription(subscription))).toEqual(subscription)
        const given = { tasks: owned, counts: known, isMoving: generation > 0 }
        expect(decodeAssignment(encodeAssignment(given))).toEqual(given)
      }),
    )
  })

  it('has topics and partitions where other programs look for them', () => {
    const counts = new Map([['trips', 4]])
    const owned = { partitions: new Map([['trips', [0, 2]]]), mergeTasks: ['merge-0'] }
    const subscription = encodeSubscription({ generation: 3, owned, counts })
    expect(AssignerProtocol.MemberMetadata.decode(subscription)).toMatchObject({ topics: ['trips'] })
    const assignment = encodeAssignment({ tasks: owned, counts, isMoving: false })
    expect(AssignerProtocol.MemberAssignment.decode(assignment)).toMatchObject({
      assignment: { trips: [0, 2] },
    })
  })

  it('is refused where another version wrote it', () => {
    const text = JSON.stringify({ version: 2 })
    const bytes = AssignerProtocol.MemberAssignment.encode({
      version: 1,
      assignment: {},
      userData: Buffer.from(text),
    })
    expect(() => decodeAssignment(bytes)).toThrow('version 2')
  })
})
