import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from './cache.ts'

const STOP_TIMEOUT_MS = 20_000

/** A program that is to run as a server. */
export interface ServerCommand {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Goes away with the server's owner. */
  readonly folder: string
  /** What the server prints is appended to it. */
  readonly log: string
  /** Asks the server itself. A rejection means not yet. */
  readonly probe: () => Promise<void>
  readonly startTimeoutMs: number
  /** The server is killed when this process is gone, however it went. */
  readonly ownerPid: number
}

interface ServerProcess {
  readonly pid: number
  kill(): Promise<void>
  stop(): Promise<void>
  pause(): void
  resume(): void
}

/** A server of one's own, to do harm to. */
export interface OwnServer {
  pid(): number
  /** What the server printed: a file, which dispose removes. */
  readonly log: string
  /** SIGKILL. Resolves when the process is gone. The data stay. */
  kill(): Promise<void>
  /** SIGTERM: an orderly end. SIGKILL when that takes more than 20 s. The data stay. */
  stop(): Promise<void>
  /** The same port and data. Kills first when it runs; resolves when it answers. */
  restart(): Promise<void>
  /** SIGSTOP: connections stay open and nobody answers, from when this returns. */
  pause(): void
  resume(): void
  /** Kills it and removes its data. */
  dispose(): Promise<void>
}

/** Starts the server, and again as often as its owner likes. A server that does not start leaves nothing behind. */
export async function startOwnServer(command: ServerCommand): Promise<OwnServer> {
  const dispose = (): Promise<void> =>
    rm(command.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  let server = await startServer(command).catch(async (error: unknown) => {
    await dispose()
    throw error
  })
  return {
    pid: () => server.pid,
    log: command.log,
    kill: () => server.kill(),
    stop: () => server.stop(),
    restart: async () => {
      await server.kill()
      server = await startServer(command)
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
    dispose: async () => {
      await server.kill()
      await dispose()
    },
  }
}

/**
 * Starts the server and waits until it answers. It is in a process group of its own, so that a Ctrl-C at the terminal
 * does not take it away under the tests, and a guard kills it when its owner is gone.
 */
async function startServer(server: ServerCommand): Promise<ServerProcess> {
  const log = openSync(server.log, 'a')
  const child = spawn(server.command, server.args, {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...server.env },
    cwd: server.folder,
  })
  closeSync(log)
  const ended = endOf(child)
  if (child.pid === undefined) {
    throw new Error(`${server.name} could not be started: ${await ended}`)
  }
  child.unref()
  guard(server.ownerPid, child.pid, server.folder)
  const handle = handleOf(child, child.pid, ended)
  await waitUntilReady(server, handle, ended)
  return handle
}

function handleOf(child: ChildProcess, pid: number, ended: Promise<string>): ServerProcess {
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await whileHeld(ended)
  }
  return {
    pid,
    kill,
    stop: async () => {
      // A stopped process hears no SIGTERM.
      child.kill('SIGCONT')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await whileHeld(ended)
      clearTimeout(timer)
    },
    pause: () => {
      child.kill('SIGSTOP')
      waitUntilStopped(pid)
    },
    resume: () => void child.kill('SIGCONT'),
  }
}

/**
 * The signal reaches a process's threads one after another, and a busy one may answer meanwhile. Linux tells when all
 * stand still. It takes about a millisecond, so that it is waited for on the spot.
 */
function waitUntilStopped(pid: number): void {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return
  const isStopped = (thread: string): boolean => {
    const state = /^State:\s+(\w)/m.exec(readFileSync(join(tasks, thread, 'status'), 'utf8'))?.[1] ?? ''
    return 'TtZX'.includes(state)
  }
  const deadline = performance.now() + 2000
  while (performance.now() < deadline) {
    try {
      if (readdirSync(tasks).every(isStopped)) return
    } catch {
      // A thread ended between being listed and being read.
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }
}

/** The child is not counted among what keeps this process alive: whoever waits for its end must hold it. */
async function whileHeld<Result>(promise: Promise<Result>): Promise<Result> {
  const hold = setInterval(() => {}, 1000)
  try {
    return await promise
  } finally {
    clearInterval(hold)
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
}

async function waitUntilReady(
  server: ServerCommand,
  handle: ServerProcess,
  ended: Promise<string>,
): Promise<void> {
  const deadline = performance.now() + server.startTimeoutMs
  let end: string | undefined
  void ended.then((how) => (end = how))
  for (;;) {
    const problem = await server.probe().then(
      () => undefined,
      (error: Error) => error.message,
    )
    if (problem === undefined) return
    if (end !== undefined)
      throw new Error(`${server.name} ended (${end}) before it answered: ${tail(server.log)}`)
    if (performance.now() > deadline) {
      await handle.kill()
      throw new Error(
        `${server.name} did not answer in ${server.startTimeoutMs} ms (${problem}): ${tail(server.log)}`,
      )
    }
    await sleep(100)
  }
}

const tail = (log: string): string => readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n')

/**
 * A shell that outlives everybody: when the owner is gone, however it went, it kills the server, removes the folder
 * and runs the command. It ends with the server; without one, with the folder.
 */
export function guard(
  ownerPid: number,
  serverPid: number | undefined,
  folder: string,
  command: readonly string[] = [],
): void {
  const script = `while kill -0 "$1" 2>/dev/null; do
  if [ -n "$2" ]; then kill -0 "$2" 2>/dev/null || exit; else [ -d "$3" ] || exit; fi
  sleep 1
done
if [ -n "$2" ]; then kill -9 "$2" 2>/dev/null; sleep 0.2; fi
rm -rf "$3"
shift 3
"$@"`
  const args = ['-c', script, 'guard', String(ownerPid), String(serverPid ?? ''), folder, ...command]
  const shell = spawn('sh', args, { detached: true, stdio: 'ignore' })
  // Without a shell the servers are still stopped in the orderly ways.
  shell.once('error', () => {})
  shell.unref()
}

/** For servers that another process started. */
export async function killServer(pid: number): Promise<void> {
  if (!isAlive(pid)) return
  process.kill(pid, 'SIGKILL')
  const deadline = performance.now() + 5000
  while (isAlive(pid) && performance.now() < deadline) await sleep(20)
}

const FIRST_PORT = 20_000
const LAST_PORT = 32_000

/**
 * A port of the loopback that nobody listens on, below those that systems give to outgoing connections: a server that
 * was killed must find it free when it starts again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}
