import type {
  ObjectStore,
  StagedFile,
  TableCommit,
  TableEncoder,
  TableFormat,
  TableLog,
  TableShape,
  TableState,
} from '../../src/ports.ts'

/** The smallest log that can stand for Delta's: whole commits as JSON lines, read from the first to the last. */
export function plainFormat(store: ObjectStore, encoder: TableEncoder): TableFormat {
  return { encoder, open: (shape) => new PlainLog(store, shape) }
}

class PlainLog implements TableLog {
  readonly shape: TableShape
  readonly #store: ObjectStore
  #version = -1
  #configuration: Readonly<Record<string, string>> = {}
  readonly #txn = new Map<string, number>()
  readonly #files = new Map<string, StagedFile>()

  constructor(store: ObjectStore, shape: TableShape) {
    this.#store = store
    this.shape = shape
  }

  async refresh(): Promise<TableState> {
    for (;;) {
      const body = await this.#store.get(this.#key(this.#version + 1))
      if (body === null) break
      this.#version++
      for (const line of new TextDecoder().decode(body).split('\n')) this.#apply(JSON.parse(line))
    }
    return {
      version: this.#version,
      fields: this.#version < 0 ? null : this.shape.fields,
      configuration: this.#configuration,
      txn: new Map(this.#txn),
      files: new Map(this.#files),
    }
  }

  async commit(version: number, commit: TableCommit): Promise<'committed' | 'lost'> {
    const lines: object[] = []
    if (version === 0) lines.push({ protocol: {} })
    if (commit.metadata !== null) lines.push({ metaData: { configuration: commit.metadata.configuration } })
    for (const file of commit.remove) lines.push({ remove: { path: file.path } })
    for (const file of commit.add) lines.push({ add: file })
    for (const [appId, txn] of commit.txn) lines.push({ txn: { appId, version: txn } })
    const body = new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join('\n'))
    return (await this.#store.putIfAbsent(this.#key(version), body)) === 'created' ? 'committed' : 'lost'
  }

  #apply(action: {
    readonly add?: StagedFile
    readonly remove?: { readonly path: string }
    readonly txn?: { readonly appId: string; readonly version: number }
    readonly metaData?: { readonly configuration: Readonly<Record<string, string>> }
  }): void {
    if (action.metaData !== undefined) this.#configuration = action.metaData.configuration
    if (action.remove !== undefined) this.#files.delete(action.remove.path)
    if (action.add !== undefined) this.#files.set(action.add.path, action.add)
    if (action.txn !== undefined) this.#txn.set(action.txn.appId, action.txn.version)
  }

  #key(version: number): string {
    return `${this.shape.path}/_delta_log/${String(version).padStart(20, '0')}.json`
  }
}
