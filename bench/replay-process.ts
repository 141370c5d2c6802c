import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface ReplayCost {
  readonly seconds: number
  /** User and system time of the process, all its threads. */
  readonly cpuSeconds: number
  /** The highest resident size, as the kernel tells it. */
  readonly megabytes: number
}

/** `millrace replay` of a program of this folder, as a process of its own. */
export function replayProcess(program: string, args: readonly string[]): Promise<ReplayCost> {
  const bin = fileURLToPath(new URL('../bin/millrace.js', import.meta.url))
  if (!existsSync(new URL('../dist', import.meta.url))) throw new Error('run `npm run build` first')
  const path = fileURLToPath(new URL(program, import.meta.url))
  const started = performance.now()
  const child = spawn(process.execPath, [bin, 'replay', path, '--log-level', 'error', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  let peakKb = 0
  let ticks = 0
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peakKb = Math.max(peakKb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0))
      ticks = Math.max(ticks, ticksOf(readFileSync(`/proc/${child.pid}/stat`, 'utf8')))
    } catch {
      // The process has ended between two looks.
    }
  }, 100)
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      clearInterval(timer)
      if (code !== 0) reject(new Error(`the replay ended with ${code}`))
      else
        resolve({
          seconds: (performance.now() - started) / 1000,
          cpuSeconds: ticks / TICKS_PER_SECOND,
          megabytes: Math.round(peakKb / 1024),
        })
    })
  })
}

/** Linux counts so on every machine that Node runs on. */
const TICKS_PER_SECOND = 100

/** utime and stime of proc(5): the name before them is in parentheses, and may have spaces. */
function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
