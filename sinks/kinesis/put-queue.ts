import { assert } from '../../src/errors.ts'
import type { PutEntry, PutOutcome } from '../../src/kinesis/api.ts'

/** Of a request. */
const ENTRIES_MAX = 500
/** What every Kinesis and every stand-in takes; a single record that is larger goes alone. */
const REQUEST_BYTES_MAX = 5 * 1024 * 1024
/** A character of a partition key in UTF-16 takes at most three bytes. */
const KEY_CHARACTER_BYTES = 3

/** The entries of one key, in order; those before `at` are stored. */
interface KeyLine {
  readonly entries: PutEntry[]
  at: number
}

/** Entries that go together. */
export interface PutBatch {
  readonly entries: readonly PutEntry[]
  readonly lines: readonly KeyLine[]
}

/**
 * What is still to be put into one stream. Kinesis may refuse any entry of a request and store those behind it, so a request has one entry of a key at most, and the
 * next one follows when it is known to be stored: whatever is refused, lost or sent again, the first appearances of a key's records are in order.
 */
export class PutQueue {
  /** Lines with something left. One that has had its turn goes to the end, so that a shard that is full does not hold up the others. */
  #lines: KeyLine[]
  #left: number

  constructor(entries: readonly PutEntry[]) {
    const byKey = new Map<string, KeyLine>()
    for (const entry of entries) {
      const line = byKey.get(entry.partitionKey)
      if (line === undefined) byKey.set(entry.partitionKey, { entries: [entry], at: 0 })
      else line.entries.push(entry)
    }
    this.#lines = [...byKey.values()]
    this.#left = entries.length
  }

  /** Entries that are not known to be stored. */
  get left(): number {
    return this.#left
  }

  /** What goes into the next request. Nothing changes before `settle`. */
  next(): PutBatch {
    const lines: KeyLine[] = []
    let bytes = 0
    for (const line of this.#lines) {
      bytes += bytesOf(line.entries[line.at]!)
      if (lines.length === ENTRIES_MAX || (lines.length > 0 && bytes > REQUEST_BYTES_MAX)) break
      lines.push(line)
    }
    return { entries: lines.map((line) => line.entries[line.at]!), lines }
  }

  /** Takes in the answer to what `next` gave. Returns the outcomes of what is to be put again. */
  settle({ lines }: PutBatch, outcomes: readonly PutOutcome[]): readonly Refusal[] {
    assert(outcomes.length === lines.length, 'every entry has an outcome')
    const refused: Refusal[] = []
    for (const [index, line] of lines.entries()) {
      assert(this.#lines[index] === line, 'an answer is to the batch before it')
      const outcome = outcomes[index]!
      if (outcome.kind === 'refused') {
        refused.push(outcome)
        continue
      }
      line.at++
      this.#left--
    }
    const unfinished = lines.filter((line) => line.at < line.entries.length)
    this.#lines = [...this.#lines.slice(lines.length), ...unfinished]
    return refused
  }
}

type Refusal = Extract<PutOutcome, { kind: 'refused' }>

function bytesOf({ partitionKey, data }: PutEntry): number {
  return data.length + KEY_CHARACTER_BYTES * partitionKey.length
}
