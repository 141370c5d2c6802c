import { BATCH_HEAD_BYTES, type BatchHead, checkBatch, corrupt } from './batch-head.ts'
import type { FetchedRecords } from './record-cursor.ts'

export interface VisibleBatch {
  readonly head: BatchHead
  /** Behind it, and behind the batches after it that are not to be seen. */
  readonly nextOffset: number
}

/**
 * The batches that a reader is to see. The ends of transactions are no records; with 'read_committed' the records of aborted transactions
 * are left out, by the list that the answer carries: a producer's batches belong to an aborted transaction from its first offset to the
 * next abort marker of that producer.
 */
export function visibleBatches(fetched: FetchedRecords, heads: readonly BatchHead[]): VisibleBatch[] {
  const { bytes, fetchOffset, isolation, where } = fetched
  const aborted = isolation === 'read_committed' ? fetched.aborted.toSorted(byFirstOffset) : []
  const abortedProducers = new Set<number>()
  let nextAborted = 0
  const visible: VisibleBatch[] = []
  for (const head of heads) {
    while (nextAborted < aborted.length && aborted[nextAborted]!.firstOffset <= head.lastOffset) {
      abortedProducers.add(aborted[nextAborted++]!.producerId)
    }
    if (head.isControl) {
      if (isAbort(bytes, head, where)) abortedProducers.delete(head.producerId)
    } else if (
      head.lastOffset >= fetchOffset &&
      head.count > 0 &&
      !(head.isTransactional && abortedProducers.has(head.producerId))
    ) {
      visible.push({ head, nextOffset: head.lastOffset + 1 })
      continue
    }
    const last = visible.at(-1)
    if (last !== undefined) visible[visible.length - 1] = { ...last, nextOffset: head.lastOffset + 1 }
  }
  return visible
}

function byFirstOffset(a: { readonly firstOffset: number }, b: { readonly firstOffset: number }): number {
  return a.firstOffset - b.firstOffset
}

const ABORT = 0

/** A control batch has one record, whose key is a version and a type (2 bytes each). Compaction may have taken it. */
function isAbort(bytes: Uint8Array, head: BatchHead, where: string): boolean {
  checkBatch(bytes, head, where)
  if (head.count === 0) return false
  // length, attributes, timestamp delta, offset delta: varints and one byte, before the length of the key
  let at = skipVarint(bytes, head.start + BATCH_HEAD_BYTES) + 1
  at = skipVarint(bytes, skipVarint(bytes, at))
  const keyAt = skipVarint(bytes, at)
  if (keyAt + 4 > head.end) throw corrupt(where, head.baseOffset, 'the end of a transaction cannot be read')
  return bytes[keyAt + 2] === 0 && bytes[keyAt + 3] === ABORT
}

function skipVarint(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length && bytes[at]! >= 0x80) at++
  return at + 1
}
