import type { ColumnBatch } from './columns/column.ts'
import type { Field } from './columns/column-type.ts'
import type { TableFormat } from './table-ports.ts'

export type * from './table-ports.ts'

/**
 * Every outside thing, as an interface. consumers/ and sinks/ implement these; the runtime calls them.
 * All of them throw PipelineError; `retryable` says whether the runtime tries again or stops.
 */

// ---------------------------------------------------------------------------------------------- source

export interface SourcePartition {
  /** Stable for ever, unique within the source, safe in a file name: it names the task. */
  readonly id: string
  readonly topic: string
  readonly partition: number
  /**
   * Ids of the partitions whose records come before all of this one's, key by key (of a shard: those that it was split or merged from). It is not read
   * before their ends are recorded, and takes over what they know. Absent: none.
   */
  readonly parents?: readonly string[]
}

export interface Header {
  readonly key: string
  readonly value: Uint8Array | null
}

/**
 * Records of one source partition in position order, in one arena. Row i's value is
 * `arena[valueStart[i] .. valueEnd[i])`; a null key or value has an end of -1. The arrays may be longer
 * than `count`. The consumer owns a batch until it asks for the next one.
 */
export interface RecordBatch {
  readonly count: number
  readonly arena: Uint8Array
  readonly keyStart: Int32Array
  readonly keyEnd: Int32Array
  readonly valueStart: Int32Array
  readonly valueEnd: Int32Array
  readonly offsets: Float64Array
  readonly timestampsMs: Float64Array
  /** When the record arrived, as recorded with the input: a replay sees what the first run saw. */
  readonly arrivalsMs: Float64Array
  /** Null where no record of the batch has headers. */
  readonly headers: readonly (readonly Header[] | null)[] | null
  /** The position from which a reader continues after record i. */
  positionAfter(index: number): string
  /** Where some of the records come out of bronze tables again. Absent: none does. */
  readonly history?: HistoryRecords
}

/** Records that were read before. */
export interface HistoryRecords {
  /** By record: 1 where it comes out of a bronze table. Its value is then written in the program's own schema, in a frame that is to be skipped. */
  readonly isStored: Uint8Array
  /** By record: for those that are stored, the schema id that the record had; below zero where it had none. */
  readonly schemaIds: Int32Array
  /** Paths of the bronze tables that have the records that are stored. */
  readonly tables: ReadonlySet<string>
}

export type ReadResult =
  | { readonly kind: 'records'; readonly batch: RecordBatch }
  /**
   * Nothing for this partition, while the source as a whole has reached this arrival time. A position, where there is one, is another than that of the
   * last record, with no record in between; it is recorded.
   */
  | { readonly kind: 'quiet'; readonly arrivalClockMs: number; readonly position?: string }
  /** No record will ever follow: the end of a recording. */
  | { readonly kind: 'end' }
  /**
   * No record will ever follow here, and what follows is in these partitions (ids), which have this one among their parents: a shard was split or merged.
   * The watermark stays until they have begun. `position` is behind the last record, and is recorded.
   */
  | { readonly kind: 'handed-on'; readonly to: readonly string[]; readonly position: string }
  /** Reading stops here but more may follow later (`--until`): the watermark stays. */
  | { readonly kind: 'stop' }

export interface PartitionReader {
  /**
   * The position at which it begins, where it was opened without one and would begin elsewhere the next time (at the end of the topic): it is
   * recorded before anything is read.
   */
  readonly start?: string | undefined
  /** Waits for the next batch, of at most `recordsMax` records. */
  read(recordsMax: number): Promise<ReadResult>
  close(): Promise<void>
}

export interface Source {
  /** For people: a file name, a topic. */
  readonly description: string
  /** Tells one recording, one topic from another of the same name: a position in one means nothing in the other. */
  readonly identity?: string | undefined
  /** Of the Kafka cluster that it reads, once `partitions` has answered: what is written there to its own topics would come back. */
  readonly clusterId?: string | null
  /**
   * True where all input is there already, as in a replay at full speed: waiting for a partition that is quiet then costs
   * nothing, so none is called idle, and what follows is as deterministic as everything else.
   */
  readonly isBacklog?: boolean
  /** Who reads which partition, where processes share the source. Absent: this process reads all of them. */
  readonly membership?: Membership
  partitions(): Promise<readonly SourcePartition[]>
  /**
   * A partition that has a chain or a history and is not listed any more, by its id: a shard that was split long ago. Null where it is none of this source's.
   * Absent: what is not listed cannot be opened.
   */
  partitionOf?(id: string): SourcePartition | null
  /**
   * `position` as `positionAfter` gave it; null is where a new pipeline begins. Throws POSITION_EXPIRED where the source has deleted
   * what lies there (unless the loss is accepted), and TOPIC_RECREATED where the position belongs to another topic of this name.
   * `parentPositions`: where the parents of a new partition ended, as far as they were read.
   */
  open(
    partition: SourcePartition,
    position: string | null,
    parentPositions?: readonly string[],
  ): Promise<PartitionReader>
  /** What the users' own consumer group is to show for a position; null where there is no such group. */
  groupOffset?(partition: SourcePartition, position: string): GroupOffset | null
  /** The offset of the next record in a position, for the log. Absent, or null: positions are shown as they are. */
  offsetOf?(position: string): string | null
  /** Tells the users' group how far a partition is published. For display only: it never fails, and is never read for positions. */
  showPublished?(offset: GroupOffset): void
  close(): Promise<void>
}

/** An offset of a Kafka consumer group. */
export interface GroupOffset {
  /** Of the cluster that the group lives on. */
  readonly clusterId: string
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  /** Of the next record. */
  readonly offset: string
}

/**
 * Hands the tasks of a pipeline to the processes that run it. Two owners of a task at once are harmless, because the chain fences
 * them: a membership need only be right in the end, and quick.
 */
export interface Membership {
  /** For people, and for the log: how this member is called. */
  readonly description: string
  /**
   * Joins, and stays joined until `leave`. `mergeTasks` are handed out with the partitions. Resolves when the first assignment
   * has been given to the listener. A membership that needs no objects of its own ignores `place`.
   */
  join(mergeTasks: readonly string[], listener: MembershipListener, place: MembershipPlace): Promise<void>
  /** A partition of ours has come to its end, is recorded and published: nobody needs to have it again. Returns at once. */
  ended?(task: string): void
  /** Resolves true where the coordinator has confirmed, after this call, that the current assignment still holds. Never rejects. */
  confirm(): Promise<boolean>
  /** Gives everything back, so that others need not wait for a time-out. Never rejects. */
  leave(): Promise<void>
}

/** Where a membership may keep objects of its own. */
export interface MembershipPlace {
  readonly store: ObjectStore
  /** Ends with '/'. Of the incarnation: another one has another. */
  readonly prefix: string
  /** Partitions that have a history or a chain in this incarnation already: some of them the source may not list any more. */
  readonly known: readonly string[]
}

export interface MembershipListener {
  /** What this process runs from now on, in place of what it ran before. Returns at once. */
  assigned(assignment: Assignment): void
  /**
   * Others are to have these tasks (ids of partitions, names of merge tasks). Resolves when they are recorded, published and let go; the membership
   * waits for that, up to a limit, before it lets others have them.
   */
  revoked(tasks: readonly string[]): Promise<void>
  /** Out of the group, after a pause or a lost connection: others may have everything already. The membership joins again by itself. */
  lost(): void
  /** The membership cannot go on (authorisation, a wrong group). Ends the run. */
  failed(error: unknown): void
}

export interface Assignment {
  readonly partitions: readonly SourcePartition[]
  readonly mergeTasks: readonly string[]
  /** All partitions of the source, whoever reads them. */
  readonly all: readonly SourcePartition[]
}

export interface SchemaRegistry {
  /** For people: a folder, a URL. */
  readonly description: string
  /**
   * The writer's schema as JSON text. Null only where the registry has answered that it has none. A schema that is not Avro is
   * `{ "schemaType": "PROTOBUF", "schema": … }`, as registries answer it.
   */
  schemaById(id: number): Promise<string | null>
  /** The same by the UUID of a schema version (lower case, with hyphens), as frames of the AWS Glue Schema Registry have it. Absent: it knows none. */
  schemaByUuid?(uuid: string): Promise<string | null>
  /**
   * The id of this schema under the subject, registered where it is not there yet. Absent where a registry cannot be written to. Throws
   * SCHEMA_INCOMPATIBLE where the subject's compatibility refuses it.
   */
  register?(subject: string, schema: string): Promise<number>
}

// -------------------------------------------------------------------------------------------- store

export interface StoredObject {
  readonly key: string
  readonly size: number
  /** When it was put, by the store's clock, in milliseconds since 1970. Absent where the store does not say. */
  readonly modifiedMs?: number
}

/**
 * Objects by key, read-after-write consistent. Keys use '/', and never start or end with it.
 * A put whose outcome is not known throws PipelineError('STORE_AMBIGUOUS', retryable).
 */
export interface ObjectStore {
  /** For people: a folder, a bucket. */
  readonly description: string
  /** Creates the object only if the key is free: one winner, for ever. */
  putIfAbsent(key: string, body: Uint8Array): Promise<'created' | 'exists'>
  /** Creates or replaces. Durable when it resolves. */
  put(key: string, body: Uint8Array): Promise<void>
  /** Null where there is none. */
  get(key: string): Promise<Uint8Array | null>
  /** All objects whose key starts with `prefix` and sorts after `startAfter`, sorted by key. */
  list(prefix: string, startAfter?: string): Promise<readonly StoredObject[]>
  /**
   * The names between `prefix`, which ends with '/' or is empty, and the next '/': what a list would have below them is not
   * listed. Only for what looks at a lake from outside; a store that holds one has it.
   */
  listFolders?(prefix: string): Promise<readonly string[]>
  /** No error where there is none. */
  delete(key: string): Promise<void>
  /** Sends what it holds open (sockets) away. */
  close?(): Promise<void>
}

// ------------------------------------------------------------------------------------------- outbox

/**
 * The headers, in UTF-8, by which a message tells whose it is; `index` counts within the epoch. Every message of an outbox has them, and
 * `findPublished` goes by them. Where one repeats, as in a dead letter of a dead letter, the last counts.
 */
export const IDENTITY_HEADERS = {
  pipeline: 'millrace.pipeline',
  incarnation: 'millrace.incarnation',
  life: 'millrace.life',
  task: 'millrace.task',
  epoch: 'millrace.epoch',
  index: 'millrace.index',
} as const

/** One record for an outside topic. */
export interface OutboxMessage {
  readonly topic: string
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly Header[]
}

/** An output topic as the program says it: one row is one record. */
export interface TopicShape {
  readonly topic: string
  readonly keyFields: readonly Field[]
  /** Of the value: all fields, those of the key among them. */
  readonly fields: readonly Field[]
}

/** Turns rows into records of one topic, with the schemas that are registered for it. Synchronous. */
export interface TopicEncoder {
  encode(batch: ColumnBatch, row: number): { readonly key: Uint8Array | null; readonly value: Uint8Array }
  /** The key alone, of a row that is no more: its record has a null value. */
  encodeKey(batch: ColumnBatch, row: number): Uint8Array
}

/** Outside topics that are written exactly once: one transaction for each epoch of a task that has messages. */
export interface Outbox {
  /** For people: the brokers. */
  readonly description: string
  /** The largest message that every topic takes, in bytes of key, value and headers. */
  readonly messageBytesMax: number
  /**
   * Called before anything is recorded. Throws TOPIC_NOT_FOUND, TOPIC_FORBIDDEN, SCHEMA_INCOMPATIBLE: what would make a
   * publication fail for good is found here. Gives an encoder for each shape, in their order.
   */
  open(topics: readonly string[], shapes: readonly TopicShape[]): Promise<readonly TopicEncoder[]>
  /** Of the Kafka cluster that it writes to. */
  clusterId?(): Promise<string>
  /** Nothing tells whether an epoch was published, so a doubtful one is published again. A task that stops in order leaves no doubt. Absent: false. */
  readonly repeats?: boolean
  /** Fences every earlier owner of the task, then reads its marker. */
  claim(pipeline: string, task: string): Promise<OutboxTask>
  close(): Promise<void>
}

/** Says how far an outbox has come, for all incarnations. */
export interface OutboxMarker {
  readonly incarnation: number
  /**
   * The nonce of the incarnation's record. A lake that was deleted and begun again, or another lake of a pipeline of this name, has the same
   * incarnation numbers: a marker of another life says nothing about this one, and counts as missing.
   */
  readonly life: string
  readonly epoch: number
}

export interface OutboxEpoch extends OutboxMarker {
  readonly messages: readonly OutboxMessage[]
  /** Committed in the same transaction, where it belongs to the same cluster. */
  readonly groupOffset: GroupOffset | null
}

/** The outbox of one task, held by its owner. */
export interface OutboxTask {
  /** As it was after the fence. Null means unknown, not unpublished: groups expire and get reset. */
  readonly marker: OutboxMarker | null
  /**
   * Of these epochs, those whose messages are in the topics, found by reading the topics themselves (`read_committed`) by their
   * headers. For epochs above a marker that is missing or older than what the chain knows to be published.
   */
  findPublished(
    life: string,
    epochs: readonly number[],
    topics: readonly string[],
  ): Promise<ReadonlySet<number>>
  /**
   * Messages, marker and group offset in one transaction. Epochs come in ascending order, one at a time. Throws OUTBOX_FENCED where another
   * owner has the task, OUTBOX_IN_DOUBT where nobody knows: then only a new claim of the task may go on.
   */
  publish(epoch: OutboxEpoch): Promise<void>
  close(): Promise<void>
}

// ---------------------------------------------------------------------------------------------- world

export interface Clock {
  nowMs(): number
  /** Resolves after `ms`, or earlier where the signal aborts. Never rejects. */
  sleep(ms: number, signal?: StopSignal): Promise<void>
}

/** What of an AbortSignal is needed; the pure folders, which see this file, know no DOM. */
export interface StopSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Where names that must not repeat come from. */
export interface Entropy {
  /** 12 or more characters of [0-9a-z]. */
  nonce(): string
  /** In [0, 1). */
  random(): number
}

export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Log
}

// -------------------------------------------------------------------------------------------- bindings

/** What a source may use of the process around it. */
export interface SourceWorld {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly log: Log
  /** Where the source has deleted what lies at a position, go on with what is left. */
  readonly acceptLoss: boolean
}

/** A source as a user's program names it: `recording({ path })`, `kafka({ … })`. */
export interface SourceBinding {
  open(world: SourceWorld): Source
  readonly registry: SchemaRegistry
  /** Cuts then depend on rows and bytes alone, never on the wall clock. */
  readonly isReplay: boolean
}

/** Output topics as a user's program names them: `kafkaTopics({ … })`. */
export interface OutboxBinding {
  open(world: SourceWorld): Outbox
}

/** Where dead letters go in place of the lake's table: `deadLetterTopic({ … })`. */
export interface DeadLetterBinding extends OutboxBinding {
  readonly topic: string
}

/** A lake as a user's program names it: `directory('./lake')`, `s3({ bucket })`. */
export interface Lake {
  readonly store: ObjectStore
  readonly format: TableFormat
}
