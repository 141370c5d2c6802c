import { ChainKeys } from '../checkpoint/keys.ts'
import type { TableFormat, TableShape } from '../ports.ts'
import type { IncarnationRecord } from './incarnation.ts'
import type { Retry } from './retry.ts'
import type { ProtocolRules } from './rules.ts'
import { TablePublisher } from './table-publisher.ts'

export interface PublisherPlace {
  readonly format: TableFormat
  readonly retry: Retry
  readonly rules: ProtocolRules
  readonly run: string
  /** The table that several pipelines share. */
  readonly deadLetters: TableShape
}

/** The publishers of an incarnation to these tables, by path, with their logs read. Throws TABLE_OF_ANOTHER. */
export async function openPublishers(
  { format, retry, rules, run, deadLetters }: PublisherPlace,
  { pipeline, incarnation, history }: IncarnationRecord,
  shapes: readonly TableShape[],
): Promise<Map<string, TablePublisher>> {
  const { incarnationAppId } = new ChainKeys(pipeline, incarnation)
  const publishers = new Map<string, TablePublisher>()
  for (const shape of shapes) {
    const publisher = new TablePublisher({
      log: format.open(shape),
      retry,
      rules,
      pipeline,
      incarnation,
      incarnationAppId,
      isOwned: shape.path !== deadLetters.path,
      keepsFiles: history?.tables.includes(shape.path) === true,
      run,
    })
    await publisher.open()
    publishers.set(shape.path, publisher)
  }
  return publishers
}
