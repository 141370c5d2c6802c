import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Missing, reasonOf, say, withLock } from './cache.ts'
import { guard, killServer } from './server.ts'

const run = promisify(execFile)

/** Names the folder of a run's shared parts, and the process whose end is their end. */
const FOLDER = 'MILLRACE_PARTS_FOLDER'
const OWNER = 'MILLRACE_PARTS_OWNER'

/** A part that the whole run uses, as it is written down for the run's other processes. */
export interface SharedPart<Value> {
  readonly kind: 'ready'
  readonly value: Value
  /** In words: which server, from where. */
  readonly how: string
  readonly pids: readonly number[]
  /** A command that stops what is not a process of ours. */
  readonly stopCommand?: readonly string[]
}

/** Called by vitest's global setup, before any part is asked for. The folder is made by the first who asks. */
export function openRun(): void {
  process.env[FOLDER] = join(tmpdir(), `millrace-parts-${process.pid}-${randomBytes(4).toString('hex')}`)
  process.env[OWNER] = String(process.pid)
}

/** Stops all shared parts and removes what they wrote. */
export async function closeRun(): Promise<void> {
  const folder = process.env[FOLDER]
  if (folder === undefined) return
  delete process.env[FOLDER]
  const names = await readdir(folder).catch(() => [])
  for (const name of names.filter((name) => name.endsWith('.json'))) {
    const part = JSON.parse(await readFile(join(folder, name), 'utf8')) as SharedPart<unknown> | Missing
    if (part.kind === 'missing') continue
    for (const pid of part.pids) await killServer(pid)
    const [command, ...args] = part.stopCommand ?? []
    if (command !== undefined) await run(command, args).catch(() => {})
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
}

/** The process whose end is a server's end, and the folder that the server's own folder is made in. */
export interface Owner {
  readonly pid: number
  readonly folder: string
}

export const thisProcess = (): Owner => ({ pid: process.pid, folder: tmpdir() })

/** The run's owner: this process, when nobody opened a run. */
function ownerOfRun(): Owner {
  if (process.env[FOLDER] === undefined) openRun()
  return { pid: Number(process.env[OWNER]), folder: process.env[FOLDER]! }
}

/** Starts the part unless another process of the run did, and says once on stderr what is used. */
export async function share<Value>(
  name: string,
  start: (owner: Owner) => Promise<SharedPart<Value> | Missing>,
): Promise<SharedPart<Value> | Missing> {
  const owner = ownerOfRun()
  const { folder } = owner
  await mkdir(folder, { recursive: true })
  const state = join(folder, `${name}.json`)
  return await withLock(join(folder, `${name}.lock`), async () => {
    if (existsSync(state)) return JSON.parse(await readFile(state, 'utf8')) as SharedPart<Value> | Missing
    const part = await start(owner).catch(
      (error: unknown): Missing => ({ kind: 'missing', reason: reasonOf(error) }),
    )
    await writeFile(state, JSON.stringify(part))
    guard(owner.pid, undefined, folder, part.kind === 'ready' ? part.stopCommand : [])
    say(part.kind === 'ready' ? `${name}: ${part.how}` : `${name}: none, because ${part.reason}`)
    return part
  })
}
