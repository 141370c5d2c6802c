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
  for (const chain of chains) {
    const where = `chain ${chain.incarnation}/${chain.task}`
    chain.records.forEach((record, index) => {
      const epoch = chain.first + index
      if (record.epoch !== epoch) wrong.push(`${where}: record ${record.epoch} at place ${epoch}`)
      if (nonces.has(record.nonce)) wrong.push(`${where}: epoch ${epoch} has the nonce of another record`)
      nonces.add(record.nonce)
      const last = index === chain.records.length - 1
      if (record.kind === 'seal' && !last) wrong.push(`${where}: a record after the seal`)
      if (last && chain.incarnation < newest && record.kind !== 'seal' && !late.has(chain.task))
        wrong.push(`${where}: replaced, but not sealed`)
      if (record.kind !== 'data') return
      for (const [path, files] of Object.entries(record.files)) {
        for (const { path: file } of files) {
          if (!objects.has(`${path}/${decodeURIComponent(file)}`))
            wrong.push(`${where}: file ${file} of epoch ${epoch} is gone`)
          if (chain.incarnation === newest && !everAdded(path).has(file)) {
            wrong.push(`${where}: file ${file} of epoch ${epoch} was never published`)
          }
        }
      }
      for (const key of stagedKeys(record)) {
        if (!objects.has(key)) wrong.push(`${where}: ${key} of epoch ${epoch} is gone`)
      }
    })
    wrong.push(...verifyFolds(where, chain, chains))
  }
  return wrong
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
  /** Of work: the epoch of the claim under which it was done. */
  readonly claim: number
  readonly nonce: string
  readonly files: Readonly<Record<string, readonly { readonly path: string }[]>>
  readonly outbox?: { readonly key: string } | null
  readonly work: {
    readonly type: 'partition' | 'merge'
    readonly dedupe?: readonly string[]
    readonly partials?: string | null
    readonly snapshot?: { readonly key: string } | null
    readonly folded?: readonly { readonly task: string; readonly first: number; readonly last: number }[]
  }
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
 * Where old records have been deleted, a sleeper can put its own in their place, up to the oldest that is kept. They are told by the claims: between
 * a record and the claim that it was written under there is only work of that claim.
 */
function withoutSleepers<T extends Chain>(chain: T): T {
  const { first, records } = chain
  if (first === 0) return chain
  let claim: number | null = null
  for (let index = records.length - 1; index >= 0; index--) {
    const record = records[index]!
    const isOfClaim =
      claim === null ||
      (record.epoch > claim ? record.kind === 'data' && record.claim === claim : record.kind === 'claim')
    if (!isOfClaim) return { ...chain, first: record.epoch + 1, records: records.slice(index + 1) }
    claim = record.kind === 'data' ? record.claim : null
  }
  return chain
}

function stagedKeys(record: ChainRecord): readonly string[] {
  const { dedupe, partials, snapshot } = record.work
  return [...(dedupe ?? []), partials, snapshot?.key, record.outbox?.key].filter((key) => key != null)
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
