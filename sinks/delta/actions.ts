/**
 * The lines of a Delta commit. https://github.com/delta-io/delta/blob/master/PROTOCOL.md#actions
 * Each line has one of these; unknown ones (cdc, domainMetadata) do not concern a table's files.
 */
export interface Action {
  readonly commitInfo?: Readonly<Record<string, unknown>>
  readonly protocol?: Protocol
  readonly metaData?: Metadata
  readonly txn?: Transaction
  readonly add?: AddFile
  readonly remove?: RemoveFile
}

export interface Protocol {
  readonly minReaderVersion: number
  readonly minWriterVersion: number
  readonly readerFeatures?: readonly string[] | null
  readonly writerFeatures?: readonly string[] | null
}

export interface Metadata {
  readonly id: string
  readonly name?: string | null
  readonly description?: string | null
  readonly format: { readonly provider: string; readonly options?: Readonly<Record<string, string>> | null }
  readonly schemaString: string
  readonly partitionColumns: readonly string[]
  readonly configuration?: Readonly<Record<string, string>> | null
  /** Milliseconds since 1970. */
  readonly createdTime?: number | null
}

export interface Transaction {
  readonly appId: string
  readonly version: number
}

export type PartitionValues = Readonly<Record<string, string | null>>

export interface AddFile {
  /** Relative to the table, URL-encoded. */
  readonly path: string
  readonly partitionValues: PartitionValues
  readonly size: number
  readonly modificationTime: number
  readonly dataChange: boolean
  readonly stats?: string | null
  readonly tags?: Readonly<Record<string, string>> | null
  readonly deletionVector?: unknown
}

export interface RemoveFile {
  readonly path: string
  readonly deletionTimestamp?: number | null
  readonly dataChange: boolean
  readonly extendedFileMetadata?: boolean | null
  readonly partitionValues?: PartitionValues | null
  readonly size?: number | null
}

export function actionsText(actions: readonly Action[]): string {
  return actions.map((action) => `${JSON.stringify(action)}\n`).join('')
}

export function parseActions(text: string): readonly Action[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Action)
}
