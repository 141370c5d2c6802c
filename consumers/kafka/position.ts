import { assert } from '../../src/errors.ts'

/** Where a reader of a partition goes on: in which topic of that name, and from which offset. */
export interface Position {
  readonly topicId: string
  readonly offset: number
}

/** `<topic id>:<next offset>`, as it is in the records of a chain. */
export function encodePosition(topicId: string, offset: number): string {
  return `${topicId}:${offset}`
}

export function parsePosition(text: string): Position {
  const match = /^([0-9a-f-]{36}):(\d+)$/.exec(text)
  assert(match !== null, `${JSON.stringify(text)} is not a position in a Kafka topic`)
  return { topicId: match[1]!, offset: Number(match[2]) }
}
