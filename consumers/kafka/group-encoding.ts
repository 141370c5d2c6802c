import { PipelineError } from '../../src/errors.ts'
import { WireReader, WireWriter } from '../../src/kafka/wire.ts'
import type { GivenTasks, Subscription } from './group-coordinator.ts'

/**
 * What travels between members through the coordinator, which does not look into it: Kafka's own "consumer" embedded protocol
 * (ConsumerProtocolSubscription version 2, ConsumerProtocolAssignment version 1), so that its tools show who has which partitions. What
 * that has no place for is JSON in `userData`.
 */
const SUBSCRIPTION_VERSION = 2
const ASSIGNMENT_VERSION = 1
const USER_DATA_VERSION = 1

/** In the user data of both. */
interface UserData {
  readonly version: number
  readonly mergeTasks: readonly string[]
  /** Number of partitions by topic. */
  readonly partitions: Readonly<Record<string, number>>
  /** Of an assignment: see GivenTasks. */
  readonly moving?: boolean
}

export function encodeSubscription({ generation, owned, counts }: Subscription): Buffer {
  const writer = new WireWriter()
  return writer
    .int16(SUBSCRIPTION_VERSION)
    .array([...counts.keys()].toSorted(), (topic) => writer.string(topic))
    .bytes(encodeUserData(owned.mergeTasks, counts))
    .array([...owned.partitions], partitionWriter(writer))
    .int32(generation)
    .finish()
}

/** Later versions add fields at the end. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const reader = new WireReader(bytes)
  const version = reader.int16()
  reader.array(() => reader.string())
  const userData = decodeUserData(reader.bytes())
  const partitions = version >= 1 ? reader.array(partitionReader(reader)) : []
  const generation = version >= 2 ? reader.int32() : -1
  return {
    generation,
    owned: { partitions: new Map(partitions), mergeTasks: userData.mergeTasks },
    counts: new Map(Object.entries(userData.partitions)),
  }
}

export function encodeAssignment({ tasks, counts, isMoving }: GivenTasks): Buffer {
  const writer = new WireWriter()
  return writer
    .int16(ASSIGNMENT_VERSION)
    .array([...tasks.partitions], partitionWriter(writer))
    .bytes(encodeUserData(tasks.mergeTasks, counts, isMoving))
    .finish()
}

export function decodeAssignment(bytes: Buffer): GivenTasks {
  // The coordinator's answer where the leader gave this member nothing at all.
  if (bytes.length === 0) return NOTHING
  const reader = new WireReader(bytes)
  reader.int16()
  const partitions = reader.array(partitionReader(reader))
  const userData = decodeUserData(reader.bytes())
  return {
    tasks: { partitions: new Map(partitions), mergeTasks: userData.mergeTasks },
    counts: new Map(Object.entries(userData.partitions)),
    isMoving: userData.moving === true,
  }
}

const NOTHING: GivenTasks = {
  tasks: { partitions: new Map(), mergeTasks: [] },
  counts: new Map(),
  isMoving: false,
}

function partitionWriter(writer: WireWriter): (entry: readonly [string, readonly number[]]) => void {
  return ([topic, partitions]) => {
    writer.string(topic).array(partitions, (partition) => writer.int32(partition))
  }
}

function partitionReader(reader: WireReader): () => [string, number[]] {
  return () => [reader.string(), reader.array(() => reader.int32())]
}

function encodeUserData(
  mergeTasks: readonly string[],
  counts: ReadonlyMap<string, number>,
  isMoving?: boolean,
): Buffer {
  const userData: UserData = {
    version: USER_DATA_VERSION,
    mergeTasks,
    partitions: Object.fromEntries(counts),
    ...(isMoving === undefined ? {} : { moving: isMoving }),
  }
  return Buffer.from(JSON.stringify(userData))
}

function decodeUserData(bytes: Buffer | null): UserData {
  let userData: UserData | null = null
  try {
    userData = JSON.parse(bytes?.toString('utf8') ?? '') as UserData
  } catch {
    // Reported below.
  }
  if (userData?.version === USER_DATA_VERSION) return userData
  const what = userData === null ? 'cannot be read' : `has version ${JSON.stringify(userData.version)}`
  throw new PipelineError('GROUP_MISMATCH', `what another member of the group says ${what}`, {
    advice:
      'All members of a group run the same program with the same version of Millrace: stop the others, then start anew.',
  })
}
