import type { SourcePartition } from '../../src/ports.ts'

/** What a record's topic and partition mean to a source. */
export const NOT_LISTED = -1
export const OTHER_TOPIC = -2

/** Finds a record's partition from the bytes of its topic, without making a string. */
export class PartitionTable {
  readonly partitions: readonly SourcePartition[]
  readonly #topic: Uint8Array
  readonly #indexOf = new Map<number, number>()

  /** All partitions are of `topic`. */
  constructor(topic: string, partitions: readonly SourcePartition[]) {
    this.partitions = partitions
    this.#topic = new TextEncoder().encode(topic)
    for (const [index, { partition }] of partitions.entries()) this.#indexOf.set(partition, index)
  }

  /** Index in `partitions`, NOT_LISTED or OTHER_TOPIC. The topic is bytes [start, end). */
  find(bytes: Uint8Array, start: number, end: number, partition: number): number {
    const topic = this.#topic
    if (end - start !== topic.length) return OTHER_TOPIC
    for (let at = 0; at < topic.length; at += 1) if (bytes[start + at] !== topic[at]) return OTHER_TOPIC
    return this.#indexOf.get(partition) ?? NOT_LISTED
  }
}

/**
 * Names the partition's task for ever, and is safe as a file name: letters, digits, '.', '_' and '-' stay, any other
 * UTF-8 byte becomes '~' and two hex digits.
 */
export function partitionId(topic: string, partition: number): string {
  let id = ''
  for (const byte of new TextEncoder().encode(topic)) {
    const character = String.fromCharCode(byte)
    id += /[A-Za-z0-9._-]/.test(character) ? character : `~${byte.toString(16).padStart(2, '0')}`
  }
  return `${id}-${partition}`
}
