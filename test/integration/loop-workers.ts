import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Prng } from '../../src/testing/simulation/prng.ts'

export interface WorkersOptions {
  readonly random: Prng
  /** What each process runs. */
  readonly script: string
  /** Where their logs are. */
  readonly scratch: string
  /** At the same time. */
  readonly max: number
  readonly env: Readonly<Record<string, string>>
  /** Codes with which a process may end: whoever supervises it starts it again. */
  readonly mayEndWith: readonly string[]
}

interface Worker {
  readonly name: string
  readonly child: ChildProcess
  readonly log: string
  ended: boolean
  stopped: boolean
}

/** Processes of one pipeline that are started, killed, asked to stop, put to sleep and woken up at random. */
export class Workers {
  readonly #options: WorkersOptions
  readonly #all: Worker[] = []

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  get running(): readonly Worker[] {
    return this.#all.filter(({ ended }) => !ended)
  }

  start(): void {
    const { scratch, script, env } = this.#options
    const name = `worker-${this.#all.length}`
    const log = join(scratch, `${name}.log`)
    const out = openSync(log, 'w')
    const child = spawn(process.execPath, [script], {
      stdio: ['ignore', out, out],
      env: { ...process.env, ...env },
    })
    const worker: Worker = { name, child, log, ended: false, stopped: false }
    child.on('exit', () => (worker.ended = true))
    this.#all.push(worker)
  }

  /** Something happens to one of them, again and again. */
  async disturbUntil(untilMs: number, random: Prng): Promise<void> {
    for (;;) {
      await pause(random.integer(500, 4_000))
      if (performance.now() > untilMs) return
      console.log(this.#disturb())
    }
  }

  #disturb(): string {
    const { random, max } = this.#options
    const awake = this.running.filter(({ stopped }) => !stopped)
    const asleep = this.running.filter(({ stopped }) => stopped)
    const choices: (readonly [string, () => void])[] = []
    const pick = (workers: readonly Worker[]): Worker => random.pick([...workers])
    if (this.running.length < max) choices.push(['start', () => this.start()])
    if (awake.length > 0) {
      choices.push(['kill', () => void pick(awake).child.kill('SIGKILL')])
      choices.push(['terminate', () => void pick(awake).child.kill('SIGTERM')])
      choices.push([
        'sleep',
        () => {
          const worker = pick(awake)
          worker.stopped = true
          worker.child.kill('SIGSTOP')
        },
      ])
    }
    if (asleep.length > 0) choices.push(['wake', () => this.#wake(pick(asleep))])
    const [what, act] = random.pick(choices)
    act()
    return what
  }

  /** All wake up, and at least two run. */
  async calm(): Promise<void> {
    for (const worker of this.running) if (worker.stopped) this.#wake(worker)
    while (this.running.length < 2) this.start()
    await pause(500)
  }

  #wake(worker: Worker): void {
    worker.stopped = false
    worker.child.kill('SIGCONT')
  }

  /** Until nothing is left to do: `openWork` says what is, in words; '' where nothing is. */
  async settled(withinSeconds: number, openWork: () => Promise<string>): Promise<void> {
    const until = performance.now() + withinSeconds * 1000
    for (;;) {
      const state = await openWork()
      if (state === '') return
      if (performance.now() > until) throw new Error(state)
      if (this.running.length === 0) throw new Error('all workers have ended')
      await pause(500)
    }
  }

  /** A graceful end, within its limit. */
  async stopAll(): Promise<void> {
    // What the last commit of gold needs after its results are in the topic.
    for (const { child } of this.running) child.kill('SIGTERM')
    for (const worker of this.#all) while (!worker.ended) await pause(50)
    for (const { name, log } of this.#all) {
      const text = readFileSync(log, 'utf8')
      const failed = /FAILED (\w+)/.exec(text)?.[1] ?? ''
      expect(['', ...this.#options.mayEndWith], `${name} ${failed}`).toContain(failed)
    }
  }

  killAll(): void {
    for (const { child } of this.running) child.kill('SIGKILL')
  }

  logs(): string {
    return this.#all
      .map(({ name, log }) => `--- ${name}\n${readFileSync(log, 'utf8').split('\n').slice(-60).join('\n')}`)
      .join('\n')
  }
}

/** A server hangs for a while. */
export async function away(server: { pause(): void; resume(): void }, forMs: number): Promise<void> {
  server.pause()
  await pause(forMs)
  server.resume()
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
