import { cpSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const STARTER = fileURLToPath(new URL('../../examples/starter', import.meta.url))

/** A copy of the starter project, removed after the test. */
export function project(): string {
  const { cwd, remove } = keptProject()
  onTestFinished(remove)
  return cwd
}

/** The same for several tests. */
export function keptProject(): { readonly cwd: string; readonly remove: () => void } {
  const cwd = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-cli-')))
  cpSync(STARTER, cwd, { recursive: true })
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}')
  return { cwd, remove: () => rmSync(cwd, { recursive: true, force: true }) }
}

export const REPLAY = ['replay', 'orders.ts', '--recording', 'recordings/orders.avro']
