import { assert } from '../../src/errors.ts'

/** A shard, as the id of its task says it. */
export interface TaskShard {
  readonly stream: string
  /** 'shardId-000000000003'. */
  readonly shardId: string
  readonly number: number
}

/** `<stream>-<12 digits>`: sorts as shards are made, and is safe in a file name as names of streams are. */
export function taskOfShard(stream: string, shardId: string): string {
  return `${stream}-${digitsOf(shardId)}`
}

/** Null where the text is no such id. */
export function shardOfTask(id: string): TaskShard | null {
  const match = /^([\w.-]{1,128})-(\d{12})$/.exec(id)
  if (match === null) return null
  const digits = match[2]!
  return { stream: match[1]!, shardId: `shardId-${digits}`, number: Number(digits) }
}

/** 3 of 'shardId-000000000003'. */
export function shardNumber(shardId: string): number {
  return Number(digitsOf(shardId))
}

function digitsOf(shardId: string): string {
  const match = /^shardId-(\d{12})$/.exec(shardId)
  assert(match !== null, `${JSON.stringify(shardId)} is no id of a shard`)
  return match[1]!
}
