import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface NearestPackage {
  /** Of the package.json. */
  readonly path: string
  readonly type: string | null
}

/** The package.json that decides what kind of module a file is: the first one from its folder upwards. */
export function nearestPackage(file: string): NearestPackage | null {
  let folder = dirname(file)
  for (;;) {
    const path = join(folder, 'package.json')
    const text = readIfThere(path)
    if (text !== null) return { path, type: typeIn(text) }
    const above = dirname(folder)
    if (above === folder) return null
    folder = above
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

function typeIn(text: string): string | null {
  try {
    const { type } = JSON.parse(text) as { type?: unknown }
    return typeof type === 'string' ? type : null
  } catch {
    return null
  }
}
