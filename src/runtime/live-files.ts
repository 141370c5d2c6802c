import { assert } from '../errors.ts'
import type { RemovedFile } from '../ports.ts'

export type FilesByTable = Readonly<Record<string, readonly RemovedFile[]>>

/** A line of a snapshot of the merge, beside those of its panes. */
export type FilesLine = readonly ['files', Readonly<Record<string, FilesByTable>>]

export function isFilesLine(line: unknown): line is FilesLine {
  return Array.isArray(line) && line[0] === 'files'
}

/**
 * The files of the merge's epochs whose rows may have to be written anew: when one of them gets a revision, the others move with it into the
 * newer epoch's files, and the old ones leave the table. No table has to be read for that.
 */
export class LiveFiles {
  readonly #epochs = new Map<number, FilesByTable>()

  /** What leaves each table when the rows of an epoch are written anew: mostly what it has added. */
  keep(epoch: number, added: readonly FilesByTable[]): void {
    const tables: Record<string, RemovedFile[]> = {}
    for (const [path, files] of added.flatMap(Object.entries<readonly RemovedFile[]>)) {
      const lean = files.map(({ path, size, partitionValues }) => ({ path, size, partitionValues }))
      if (lean.length > 0) tables[path] = [...(tables[path] ?? []), ...lean]
    }
    this.#epochs.set(epoch, tables)
  }

  /** The files of these epochs in one table. */
  of(path: string, epochs: readonly number[]): readonly RemovedFile[] {
    return epochs.flatMap((epoch) => {
      const files = this.#epochs.get(epoch)
      assert(files !== undefined, `the merge does not know the files of its epoch ${epoch}`)
      return files[path] ?? []
    })
  }

  /** Only these epochs may still be replaced. */
  prune(live: ReadonlySet<number>): void {
    for (const epoch of this.#epochs.keys()) if (!live.has(epoch)) this.#epochs.delete(epoch)
  }

  /** Those of later epochs than this one. */
  lineSince(epoch: number): FilesLine {
    return ['files', Object.fromEntries([...this.#epochs].filter(([of]) => of > epoch))]
  }

  restore([, epochs]: FilesLine): void {
    for (const [epoch, files] of Object.entries(epochs)) this.#epochs.set(Number(epoch), files)
  }
}
