/**
 * Reads a Delta table the way its readers do, from the JSON commits alone, sharing nothing with the writer; and
 * checks at every version what a reader relies on.
 */
export interface TableVersion {
  readonly version: number
  /** Paths of the files that this version added and removed, relative to the table. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

export interface ReadTable {
  readonly path: string
  readonly versions: readonly TableVersion[]
  /** Active files of the newest version. */
  readonly active: ReadonlySet<string>
  readonly txn: ReadonlyMap<string, number>
  /** What is wrong with the log; empty where nothing is. */
  readonly violations: readonly string[]
}

interface Action {
  readonly add?: { readonly path: string; readonly size: number; readonly stats?: string }
  readonly remove?: { readonly path: string }
  readonly txn?: { readonly appId: string; readonly version: number }
  readonly metaData?: { readonly schemaString: string }
  readonly protocol?: object
}

/** `objects` is the whole store by key; `path` the table's folder. */
export function readTable(objects: ReadonlyMap<string, Uint8Array>, path: string): ReadTable {
  const violations: string[] = []
  const versions: TableVersion[] = []
  const active = new Set<string>()
  const ever = new Set<string>()
  const txn = new Map<string, number>()
  const wrong = (version: number, what: string): void =>
    void violations.push(`${path} version ${version}: ${what}`)

  for (const [version, key] of commitKeys(objects, path).entries()) {
    if (Number(key.slice(-25, -5)) !== version) wrong(version, `expected this version, found ${key}`)
    const added: string[] = []
    const removed: string[] = []
    const actions = utf8.decode(objects.get(key)).split('\n').filter(Boolean)
    const parsed = actions.map((line) => JSON.parse(line) as Action)
    if (version === 0 && !(parsed.some((a) => a.protocol) && parsed.some((a) => a.metaData))) {
      wrong(version, 'the first commit has no protocol or no metaData')
    }
    for (const { remove } of parsed) {
      if (remove === undefined) continue
      if (!active.delete(remove.path)) wrong(version, `removes ${remove.path}, which is not active`)
      removed.push(remove.path)
    }
    for (const { add } of parsed) {
      if (add === undefined) continue
      if (ever.has(add.path)) wrong(version, `adds ${add.path} a second time`)
      ever.add(add.path)
      active.add(add.path)
      added.push(add.path)
      const body = objects.get(objectKey(path, add.path))
      if (body === undefined) wrong(version, `adds ${add.path}, which is not in the store`)
      else if (body.length !== add.size)
        wrong(version, `${add.path} has ${body.length} bytes, not ${add.size}`)
    }
    for (const { txn: marker } of parsed) {
      if (marker === undefined) continue
      const before = txn.get(marker.appId)
      if (before !== undefined && marker.version <= before) {
        wrong(version, `txn of ${marker.appId} went from ${before} to ${marker.version}`)
      }
      txn.set(marker.appId, Math.max(before ?? -1, marker.version))
    }
    versions.push({ version, added, removed })
  }
  return { path, versions, active, txn, violations }
}

/** The key of a file that a log names. */
export function objectKey(tablePath: string, filePath: string): string {
  return `${tablePath}/${decodeURIComponent(filePath)}`
}

/** Folders of all tables in the store. */
export function tablePaths(objects: ReadonlyMap<string, Uint8Array>): readonly string[] {
  const paths = new Set<string>()
  for (const key of objects.keys()) {
    const at = key.indexOf('/_delta_log/')
    if (at > 0) paths.add(key.slice(0, at))
  }
  return [...paths].sort()
}

function commitKeys(objects: ReadonlyMap<string, Uint8Array>, path: string): string[] {
  const prefix = `${path}/_delta_log/`
  return [...objects.keys()].filter((key) => key.startsWith(prefix) && /\/\d{20}\.json$/.test(key)).sort()
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
