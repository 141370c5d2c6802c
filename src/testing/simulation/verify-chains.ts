import { readTable } from './table-reader.ts'

/**
 * Checks the epoch chains of a lake as they lie in the store, by their published format (docs/checkpoints.md) and not by the code
 * that writes them. `late` are tasks of partitions that were added: whoever did not hear of a new incarnation may begin their old chain after it was sealed.
 */
export function verifyChains(
  objects: ReadonlyMap<string, Uint8Array>,
  pipeline: string,
  late: ReadonlySet<string> = new Set(),
): readonly string[] {
  const wrong: string[] = []
  const chains = readChains(objects, pipeline)
  const newest = Math.max(0, ...chains.map((chain) => chain.incarnation))
  const nonces = new Set<string>()
  const added = new Map<string, ReadonlySet<string>>()
  const everAdded = (path: string): ReadonlySet<string> => {
    const known =
      added.get(path) ?? new Set(readTable(objects, path).versions.flatMap((version) => version.added))
    added.set(path, known)
    return known
  }
  const check = (chain: Chain): readonly string[] => {
    const where = `chain ${chain.incarnation}/${chain.task}`
    const found: string[] = []
    const replaced = new Set(
      chain.records.flatMap(({ removes }) => namedFiles(removes ?? {}).map((names) => names.join('/'))),
    )
    const isShown = (path: string, file: string): boolean =>
      chain.incarnation === newest && readTable(objects, path).active.has(file)
    chain.records.forEach((record, index) => {
      const epoch = chain.first + index
      if (record.epoch !== epoch) found.push(`${where}: record ${record.epoch} at place ${epoch}`)
      const last = index === chain.records.length - 1
      if (record.kind === 'seal' && !last) found.push(`${where}: a record after the seal`)
      if (last && chain.incarnation < newest && record.kind !== 'seal' && !late.has(chain.task))
        found.push(`${where}: replaced, but not sealed`)
      if (record.kind !== 'data') return
      for (const [path, file] of namedFiles(record.files)) {
        const isReplaced = replaced.has(`${path}/${file}`)
        if (!objects.has(`${path}/${decodeURIComponent(file)}`))
          found.push(`${where}: file ${file} of epoch ${epoch} is gone`)
        // One that is replaced before it is published never comes into the table.
        if (chain.incarnation === newest && !isReplaced && !everAdded(path).has(file)) {
          found.push(`${where}: file ${file} of epoch ${epoch} was never published`)
        }
      }
      for (const [path, file] of namedFiles(record.removes ?? {})) {
        const epochOfFile = Number(/-(\d{12})-\d{12}-[0-9a-z]+-\d+\.\w+$/.exec(file)?.[1])
        if (!file.includes(`${pipeline}-${chain.incarnation}-${chain.task}-`) || !(epochOfFile < epoch))
          found.push(`${where}: epoch ${epoch} replaces ${file}, which is not of an earlier epoch of its own`)
        if (isShown(path, file))
          found.push(`${where}: ${file}, which epoch ${epoch} replaces, is still there`)
      }
      for (const key of stagedKeys(record)) {
        if (!objects.has(key)) found.push(`${where}: ${key} of epoch ${epoch} is gone`)
      }
    })
    return [...found, ...verifyFolds(where, chain, chains)]
  }
  for (const chain of chains) {
    for (const { epoch, nonce } of chain.records) {
      if (nonces.has(nonce)) wrong.push(`chain ${chain.task}: epoch ${epoch} has the nonce of another record`)
      nonces.add(nonce)
    }
    const found = check(chain)
    // What a sleeper puts in place of a deleted record directly below a claim cannot be told from the record: its wrongs do not count.
    const rest = found.length === 0 ? null : fromFirstClaim(chain)
    wrong.push(...(rest === null ? found : check(rest)))
  }
  return wrong
}

/** Without the work that may be a sleeper's; null where nothing has been deleted. */
function fromFirstClaim(chain: Chain): Chain | null {
  const claim = chain.records.findIndex(({ kind }) => kind === 'claim')
  if (chain.first === 0 || claim < 1) return null
  return { ...chain, first: chain.first + claim, records: chain.records.slice(claim) }
}

interface Chain {
  readonly incarnation: number
  readonly task: string
  /** The oldest epoch that is kept. */
  readonly first: number
  /** Contiguous from there to the head. */
  readonly records: readonly ChainRecord[]
}

interface ChainRecord {
  readonly kind: 'data' | 'claim' | 'seal'
  readonly epoch: number
  readonly published: Readonly<Record<string, number>>
  readonly nonce: string
  readonly files: Readonly<Record<string, readonly { readonly path: string }[]>>
  readonly removes?: Readonly<Record<string, readonly { readonly path: string }[]>>
  readonly outbox?: { readonly key: string } | null
  readonly work: {
    readonly type: 'partition' | 'merge'
    readonly dedupe?: readonly string[]
    readonly partials?: string | null
    readonly snapshot?: (Part & { readonly epoch: number; readonly changes?: readonly Part[] }) | null
    readonly folded?: readonly { readonly task: string; readonly first: number; readonly last: number }[]
  }
}

/** Objects of a snapshot: the first has the key, the others its name with a number. */
interface Part {
  readonly key: string
  readonly parts?: number
}

function namedFiles(files: ChainRecord['files']): readonly (readonly [string, string])[] {
  return Object.entries(files).flatMap(([path, named]) =>
    named.map(({ path: file }): [string, string] => [path, file]),
  )
}

function readChains(objects: ReadonlyMap<string, Uint8Array>, pipeline: string): readonly Chain[] {
  const chains = new Map<
    string,
    { incarnation: number; task: string; first: number; records: ChainRecord[] }
  >()
  for (const key of [...objects.keys()].sort()) {
    const match = /^_millrace\/([^/]+)\/(\d+)\/([^/]+)\/(\d+)\.json$/.exec(key)
    if (match === null || match[1] !== pipeline || match[3]!.startsWith('_')) continue
    const name = `${match[2]}/${match[3]}`
    const epoch = Number(match[4])
    let chain = chains.get(name)
    // Below a hole is what a sleeper put where records had been deleted, or what a deletion has not come to yet.
    if (chain === undefined || chain.first + chain.records.length !== epoch) {
      chain = { incarnation: Number(match[2]), task: match[3]!, first: epoch, records: [] }
    }
    chains.set(name, chain)
    chain.records.push(JSON.parse(utf8.decode(objects.get(key))) as ChainRecord)
  }
  return [...chains.values()].map(withoutSleepers)
}

/**
 * Where old records have been deleted, a sleeper can put its own in their place, up to the oldest that is kept. So of such a chain only
 * what a restore needs counts: from the newest record of work that is published everywhere, and of a merge from that one's snapshot.
 */
function withoutSleepers(chain: Chain): Chain {
  const work = chain.records.filter((record) => record.kind === 'data')
  const published = Math.min(...Object.values(work.at(-1)?.published ?? {}))
  const base = work.findLast(({ epoch }) => epoch <= published)
  if (chain.first === 0 || base === undefined) return chain
  const first = base.work.type === 'merge' ? (base.work.snapshot?.epoch ?? chain.first) : base.epoch
  return { ...chain, first, records: chain.records.filter(({ epoch }) => epoch >= first) }
}

function stagedKeys(record: ChainRecord): readonly string[] {
  const { dedupe, partials, snapshot } = record.work
  const parts = snapshot == null ? [] : [snapshot, ...(snapshot.changes ?? [])]
  const panes = parts.flatMap(({ key, parts: count = 1 }) => [
    key,
    ...Array.from({ length: count - 1 }, (_, i) => key.replace('.json', `-${i + 1}.json`)),
  ])
  return [...(dedupe ?? []), ...panes, partials, record.outbox?.key].filter((key) => key != null)
}

/** The merge folds each source epoch once and in order; and nothing that was not recorded. */
function verifyFolds(where: string, merge: Chain, chains: readonly Chain[]): string[] {
  const wrong: string[] = []
  const next = new Map<string, number>()
  for (const record of merge.records) {
    for (const { task, first, last } of (record.kind === 'data' && record.work.folded) || []) {
      const expected = next.get(task) ?? (merge.first === 0 ? 0 : first)
      if (first !== expected)
        wrong.push(`${where}: epoch ${record.epoch} folds ${task} from ${first}, not from ${expected}`)
      next.set(task, last + 1)
      const source = chains.find((chain) => chain.incarnation === merge.incarnation && chain.task === task)
      if (source === undefined || last >= source.first + source.records.length)
        wrong.push(`${where}: folded epoch ${last} of ${task}, which is not recorded`)
    }
  }
  return wrong
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
