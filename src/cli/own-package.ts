import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '../errors.ts'

export interface OwnPackage {
  /** The folder of our package.json. */
  readonly root: string
  readonly version: string
  /** Exact versions of the tools that we are developed with. */
  readonly devDependencies: Readonly<Record<string, string>>
}

/** Our own package.json: two folders above the sources, three above what is built from them. */
export function ownPackage(): OwnPackage {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder)
    assert(above !== folder, 'the command runs outside of its package')
    folder = above
  }
  const { version, devDependencies } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as OwnPackage
  return { root: folder, version, devDependencies }
}
