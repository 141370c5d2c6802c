import type { OutboxMessage } from '../../ports.ts'
import type { PipelineSpec } from '../../topology/node.ts'
import type { Cells, OracleResult } from '../oracle/oracle.ts'
import { type Cell, hexOf } from './jsonl-encoder.ts'
import { identityOf, textHeaderOf } from './sim-outbox.ts'
import { letterCells } from './verify.ts'
import { type ResultTraits, resultTraits, verifyEqual } from './verify-results.ts'

/** A topic's committed messages, in their order. */
export type ReadTopic = (topic: string) => readonly OutboxMessage[]

export interface VerifyTopicsOptions {
  readonly spec: PipelineSpec
  readonly oracle: OracleResult
  readonly deadLetterTopic: string | null
  readonly read: ReadTopic
  /** The newest: what former ones have sent stays in the topics, and is only held to be there once. */
  readonly incarnation: number
}

/** Compares the topics that a pipeline writes to with what the oracle says: every message once, in the order of the epochs. */
export function verifyTopics(options: VerifyTopicsOptions): readonly string[] {
  const { spec, oracle } = options
  const isWhole = oracle.opened.size === 0
  const wrong = [...verifyDeadLetters(options)]
  const nodes = new Map((spec.topics ?? []).map(({ name, input }) => [name, input]))
  for (const [topic, expected] of oracle.topics) {
    wrong.push(...verifyIdentities(topic, options))
    const found = verifyResultTopic(topic, resultTraits(spec, nodes.get(topic)!), expected, options)
    wrong.push(...(isWhole ? found : found.filter((text) => !/ lacks | too many /.test(text))))
  }
  return wrong
}

/** What a reader has that keeps the last record of each key; where nothing is ever revised, all records. */
function verifyResultTopic(
  topic: string,
  traits: ResultTraits,
  expected: readonly Cells[],
  options: VerifyTopicsOptions,
): readonly string[] {
  const wrong: string[] = []
  const path = `topic ${topic}`
  const messages = ofIncarnation(topic, options)
  const last = new Map<string, Cells | null>()
  for (const { key, value } of messages) {
    const keyText = key === null ? 'null' : utf8.decode(key)
    const row = value === null ? null : (JSON.parse(utf8.decode(value)) as Cells)
    const before = last.get(keyText) ?? null
    last.set(keyText, row)
    if (row === null && before === null) wrong.push(`${path}: nothing goes where nothing was: ${keyText}`)
    if (!traits.mayRevise && row?.['revision'] !== '0' && traits.node.kind === 'aggregate')
      wrong.push(`${path}: a revision without a reason: ${JSON.stringify(row)}`)
    if (row !== null && before !== null && Number(row['revision']) <= Number(before['revision']))
      wrong.push(`${path}: of ${keyText} ${JSON.stringify(row)} comes after ${JSON.stringify(before)}`)
  }
  if (traits.isOpen) return wrong
  const rows = traits.mayRevise
    ? [...last.values()].filter((row) => row !== null)
    : messages.map(({ value }) => JSON.parse(utf8.decode(value ?? undefined)) as Cells)
  return [...wrong, ...verifyEqual(path, expected, rows)]
}

/** Dead letters alone: they do not wait for a watermark. */
export function verifyDeadLetters(options: VerifyTopicsOptions): readonly string[] {
  const { oracle, deadLetterTopic } = options
  if (deadLetterTopic === null) return []
  const missing = new Map<string, number>()
  const count = (row: Cells, by: number): void => {
    const text = textOf(row)
    missing.set(text, (missing.get(text) ?? 0) + by)
  }
  for (const letter of oracle.deadLetters) count(letterCells(letter), 1)
  for (const message of ofIncarnation(deadLetterTopic, options)) count(messageCells(message), -1)
  const isWhole = oracle.opened.size === 0
  return [
    ...verifyIdentities(deadLetterTopic, options),
    ...[...missing].flatMap(([text, times]) => {
      if (times < 0) return [`topic ${deadLetterTopic} has ${-times} too many of ${text}`]
      return times > 0 && isWhole ? [`topic ${deadLetterTopic} lacks ${times} of ${text}`] : []
    }),
  ]
}

/** Of each task the epochs come in their order, each whole, and once. */
function verifyIdentities(topic: string, { read, spec }: VerifyTopicsOptions): readonly string[] {
  const wrong: string[] = []
  const last = new Map<string, { readonly epoch: number; readonly index: number }>()
  for (const message of read(topic)) {
    const { pipeline, incarnation, life, task, epoch, index } = identityOf(message)
    const where = `topic ${topic}: message ${index} of ${incarnation}/${task}/${epoch}`
    if (pipeline !== spec.name) wrong.push(`${where} is of pipeline ${pipeline}`)
    const key = `${life}/${task}`
    const before = last.get(key) ?? { epoch: -1, index: -1 }
    if (epoch < before.epoch || (epoch === before.epoch && index <= before.index))
      wrong.push(`${where} comes after message ${before.index} of epoch ${before.epoch}`)
    last.set(key, { epoch, index })
  }
  return wrong
}

function ofIncarnation(topic: string, { read, incarnation }: VerifyTopicsOptions): readonly OutboxMessage[] {
  return read(topic).filter((message) => identityOf(message).incarnation === incarnation)
}

/** A dead letter by its headers, as the table would have it. */
function messageCells(message: OutboxMessage): Cells {
  const text = (name: string): string | null => textHeaderOf(message, `millrace.${name}`)
  const originals = message.headers.filter(({ key }) => !key.startsWith('millrace.'))
  const timestamp = text('source.timestamp')
  return {
    _topic: text('source.topic'),
    _partition: text('source.partition'),
    _offset: text('source.offset'),
    _timestamp: timestamp === null ? null : String(BigInt(Date.parse(timestamp)) * 1000n),
    _key: message.key === null ? null : hexOf(message.key),
    _schema_id: text('schema.id'),
    _headers: originals.map(({ key, value }) => ({ key, value: value === null ? null : hexOf(value) })),
    _value: message.value === null ? null : hexOf(message.value),
    reason: text('reason'),
    stage: text('stage'),
  }
}

/** A topic cannot tell no headers from none, and knows nothing of the arrival. */
function textOf({ _ingested_at, _headers, ...row }: Cells): string {
  const cells: Readonly<Record<string, Cell>> = { ...row, _headers: _headers ?? [] }
  return JSON.stringify(
    Object.keys(cells)
      .sort()
      .map((name) => [name, cells[name]]),
  )
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
