import { bytesAt, longAt, millisAt, stringAt } from '../columns/cell.ts'
import { type Column, type ColumnBatch, isValid } from '../columns/column.ts'
import { binaryColumn, int32Column, int64Column, listColumn } from '../columns/write.ts'
import { assert } from '../errors.ts'
import type { Header, OutboxMessage } from '../ports.ts'
import { instantText } from './instant-text.ts'
import { identityHeaders, messageBytes, type MessageIdentity, textHeader } from './message-identity.ts'

/** What a dead letter in a topic says of itself, in headers behind those that the record came with. Values are UTF-8 text. */
export const DEAD_LETTER_HEADERS = {
  reason: 'millrace.reason',
  stage: 'millrace.stage',
  message: 'millrace.message',
  stack: 'millrace.stack',
  sourceTopic: 'millrace.source.topic',
  sourcePartition: 'millrace.source.partition',
  sourceOffset: 'millrace.source.offset',
  sourceTimestamp: 'millrace.source.timestamp',
  schemaId: 'millrace.schema.id',
  /** `run/task/epoch`, as in the log. */
  correlation: 'millrace.correlation',
  /** Of the cut. */
  time: 'millrace.time',
  /** Only where the letter does not fit into the topic: the key in the lake of the whole one. */
  letterAt: 'millrace.letter.at',
} as const

export interface DeadLetterMessagesOptions {
  readonly topic: string
  readonly identity: MessageIdentity
  /** Correlation id of the run. */
  readonly run: string
  /** Of the cut. */
  readonly timeMs: number
  /** Index within the epoch of the first message. */
  readonly firstIndex: number
  /** `Outbox.messageBytesMax`, at least `DEAD_LETTER_BYTES_MIN`. */
  readonly messageBytesMax: number
  /** The key in the lake under which a letter is staged that the topic does not take; by its index within the epoch. */
  readonly oversizeKey: (index: number) => string
}

/** Room for the headers of any dead letter, without those that the record came with. */
export const DEAD_LETTER_BYTES_MIN = 65_536

export interface DeadLetterMessages {
  readonly messages: readonly OutboxMessage[]
  /** Letters to be staged whole, before the epoch is recorded. */
  readonly oversize: readonly OversizeLetter[]
}

export interface OversizeLetter {
  readonly key: string
  readonly message: OutboxMessage
}

/**
 * The first `count` rows of a `DeadLetterBatch` as messages: key, value and headers of the record are as they came. A message that the topic
 * would refuse goes without its value, or, where that is not enough, with nothing but the headers below, and says where the whole one is.
 */
export function deadLetterMessages(
  batch: ColumnBatch,
  count: number,
  options: DeadLetterMessagesOptions,
): DeadLetterMessages {
  const { topic, firstIndex, messageBytesMax, oversizeKey } = options
  const headersOf = letterHeaders(batch, options)
  const column = (name: string): Column => columnOf(batch, name)
  const [keys, values, originals] = [column('_key'), column('_value'), column('_headers')]
  const oversize: OversizeLetter[] = []
  const messages = Array.from({ length: count }, (_, row): OutboxMessage => {
    const index = firstIndex + row
    const key = nullableBytes(keys, row)
    const original = originalHeaders(originals, row)
    const own = headersOf(row, index)
    const whole: OutboxMessage = {
      topic,
      key,
      value: nullableBytes(values, row),
      headers: [...original, ...own],
    }
    if (messageBytes(whole) <= messageBytesMax) return whole
    const at = oversizeKey(index)
    oversize.push({ key: at, message: whole })
    const pointer = textHeader(DEAD_LETTER_HEADERS.letterAt, at)
    const empty: OutboxMessage = { topic, key, value: null, headers: [...original, ...own, pointer] }
    if (messageBytes(empty) <= messageBytesMax) return empty
    const bare: OutboxMessage = { topic, key: null, value: null, headers: [...own, pointer] }
    assert(messageBytes(bare) <= messageBytesMax, 'the headers of a dead letter fit into a message')
    return bare
  })
  return { messages, oversize }
}

/** The headers that Millrace adds to the letter in a row. */
function letterHeaders(
  batch: ColumnBatch,
  { identity, run, timeMs }: DeadLetterMessagesOptions,
): (row: number, index: number) => readonly Header[] {
  const column = (name: string): Column => columnOf(batch, name)
  const text = (name: string) => {
    const source = binaryColumn(column(name))
    return (row: number): string => stringAt(source, row)
  }
  const [reason, stage, message, stack] = [text('reason'), text('stage'), text('message'), text('stack')]
  const topics = int32Column(column('_topic'))
  const topicType = topics.field.type
  assert(topicType.kind === 'enum', 'the topic of a record is an enum')
  const partitions = int32Column(column('_partition'))
  const offsets = int64Column(column('_offset'))
  const timestamps = int64Column(column('_timestamp'))
  const schemaIds = int32Column(column('_schema_id'))
  const stacks = column('stack')
  const identityOf = identityHeaders(identity)
  const names = DEAD_LETTER_HEADERS
  const shared = [
    textHeader(names.correlation, `${run}/${identity.task}/${identity.epoch}`),
    textHeader(names.time, instantText(timeMs)),
  ]
  return (row, index) => [
    textHeader(names.reason, reason(row)),
    textHeader(names.stage, stage(row)),
    textHeader(names.message, message(row)),
    ...(isValid(stacks, row) ? [textHeader(names.stack, stack(row))] : []),
    textHeader(names.sourceTopic, topicType.symbols[topics.values[row]!]!),
    textHeader(names.sourcePartition, `${partitions.values[row]!}`),
    textHeader(names.sourceOffset, `${longAt(offsets, row)}`),
    textHeader(names.sourceTimestamp, instantText(millisAt(timestamps, row))),
    ...(isValid(schemaIds, row) ? [textHeader(names.schemaId, `${schemaIds.values[row]!}`)] : []),
    ...shared,
    ...identityOf(index),
  ]
}

function originalHeaders(column: Column, row: number): readonly Header[] {
  if (!isValid(column, row)) return []
  const list = listColumn(column)
  const struct = list.element
  assert(struct.storage === 'struct', 'headers are a list of records')
  const keys = binaryColumn(struct.children[0]!)
  const headers: Header[] = []
  for (let i = list.offsets[row]!; i < list.offsets[row + 1]!; i++) {
    headers.push({ key: stringAt(keys, i), value: nullableBytes(struct.children[1]!, i) })
  }
  return headers
}

function nullableBytes(column: Column, row: number): Uint8Array | null {
  return isValid(column, row) ? bytesAt(binaryColumn(column), row) : null
}

function columnOf(batch: ColumnBatch, name: string): Column {
  const found = batch.columns.find(({ field }) => field.name === name)
  assert(found !== undefined, `dead letters have the column ${name}`)
  return found
}
