import { expect, it } from 'vitest'
import { MergeFeed } from '../../src/runtime/merge-feed.ts'

/** A clock on which nobody's time is ever over. */
const STANDING = { nowMs: () => 0, sleep: () => new Promise<void>(() => {}) }

it('does not let the merge wait for what it was told while it did something else', async () => {
  const feed = new MergeFeed(STANDING)
  feed.listen()
  feed.wake()
  expect(await feed.take(null)).toEqual([])

  // Once is enough.
  const next = feed.take(null)
  feed.offer({ kind: 'reached', task: 'trips-0', epoch: 3 })
  expect(await next).toEqual([{ kind: 'reached', task: 'trips-0', epoch: 3 }])
})
