/**
 * What do ten million open windows of one merge task cost? Folds partials of a count and a sum of a double until so many panes are open, takes a
 * snapshot, restores it, and fires everything. Prints nanoseconds a pane, seconds, bytes, and the memory of the process at each step.
 *
 * Run: npx node --expose-gc bench/panes.ts [panes, in millions] [windows of each key]
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MergeSnapshot, MergeTask } from '../src/engine/merge-task.ts'
import type { PartialsJson } from '../src/engine/partial.ts'
import { compilePlan } from '../src/engine/plan.ts'
import { ALL_RULES } from '../src/runtime/rules.ts'
import type { AggregateNode, SourceNode } from '../src/topology/node.ts'

const PANES = Number(process.argv[2] ?? 10) * 1_000_000
const WINDOWS = Number(process.argv[3] ?? 10)
const KEYS = PANES / WINDOWS
/** Of a partial: about an epoch's worth. */
const PART_PANES = 50_000
const WINDOW_MS = 60_000

const source: SourceNode = {
  kind: 'source',
  name: 'trips',
  schema: {
    avro: {
      type: 'record',
      name: 'Trip',
      fields: [
        { name: 'zone', type: 'string' },
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
        { name: 'fare', type: 'double' },
      ],
    },
  },
  eventTime: 'at',
  watermark: { kind: 'bounded-out-of-orderness', boundMs: 0, idleAfterMs: null, futureLimitMs: 1e15 },
}
const fares: AggregateNode = {
  kind: 'aggregate',
  name: 'fares',
  input: source,
  keyBy: ['zone'],
  window: { kind: 'tumbling', sizeMs: WINDOW_MS, offsetMs: 0 },
  allowedLatenessMs: 0,
  late: 'drop',
  aggregates: [
    { name: 'trips', spec: { kind: 'count', field: null } },
    { name: 'fares', spec: { kind: 'sum', field: 'fare' } },
  ],
}
const options = {
  compression: 'snappy',
  rowGroupRows: 250_000,
  fileRowsMax: 250_000,
  dictionary: null,
} as const
const plan = compilePlan(
  {
    name: 'bench',
    source,
    tables: [{ layer: 'gold', name: 'fares', input: fares, partitionBy: [], options }],
    circuitBreaker: null,
    limits: { panesMax: 1e9 },
  },
  ['trips'],
)

function createTask(state: MergeTask['state'] | null): MergeTask {
  return new MergeTask(plan, { stage: 0, slice: 0, tasks: ['trips-0'], state, rules: ALL_RULES })
}

/** As JSON text, which is what a merge reads. */
function partialOf(part: number): string {
  const panes = Array.from({ length: PART_PANES }, (_, i) => part * PART_PANES + i)
  return JSON.stringify({
    fares: {
      keys: [panes.map((pane) => `device${String(pane % KEYS).padStart(6, '0')}`)],
      windowStartsMs: panes.map((pane) => Math.floor(pane / KEYS) * WINDOW_MS),
      states: [panes.map(() => 2), panes.map((pane) => [2, Math.round((pane * 37) % 10_000) / 100])],
    },
  })
}

let peakBytes = 0
function memory(): string {
  peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return `${(process.memoryUsage.rss() / 2 ** 20).toFixed(0).padStart(6)} MB (heap ${(heapUsed / 2 ** 20).toFixed(0)}, arrays ${(arrayBuffers / 2 ** 20).toFixed(0)})`
}

/** CPU time of the process, collector included: of the machine others may have a part. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function report(what: string, sinceMs: number, panes: number, rest = ''): void {
  const ms = cpuMs() - sinceMs
  const each = ((ms * 1e6) / panes).toFixed(0).padStart(6)
  console.log(
    `${what.padEnd(34)} ${(ms / 1000).toFixed(1).padStart(6)} s ${each} ns a pane  ${memory()}  ${rest}`,
  )
}

let epoch = 0
function fold(task: MergeTask, watermarkMs: number, text: string): void {
  const about = { task: 'trips-0', epoch: epoch++, watermarkMs, idle: false, ended: false, lastArrivalMs: 0 }
  task.fold({ ...about, partials: JSON.parse(text) as PartialsJson | null })
}

/** Returns the CPU time without that of making the partials. */
function foldAll(task: MergeTask): number {
  let ms = 0
  for (let part = 0; part < PANES / PART_PANES; part++) {
    const text = partialOf(part)
    const since = cpuMs()
    fold(task, 0, text)
    ms += cpuMs() - since
    memory()
  }
  return ms
}

console.log(`node ${process.version}, ${PANES} panes of ${KEYS} keys; count and sum of a double`)
let task = createTask(null)
let ms = foldAll(task)
report('fold, new panes', cpuMs() - ms, PANES, `${task.openPanes} panes`)
ms = foldAll(task)
report('fold, panes that are open', cpuMs() - ms, PANES, `${task.openPanes} panes`)
let since = cpuMs()
task.cut({ epoch: 0, nowMs: 0 })
task.clear()
report('cut at which nothing is due', since, PANES)

const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'panes.json')
const file = openSync(path, 'w+')
since = cpuMs()
const lengths: number[] = []
for (const part of task.snapshot('full')) {
  lengths.push(writeSync(file, JSON.stringify(part)))
  memory()
}
const written = lengths.reduce((sum, length) => sum + length, 0)
report('full snapshot, to a file', since, PANES, `${(written / 1e6).toFixed(0)} MB of JSON`)

fold(task, 0, partialOf(0))
since = cpuMs()
let bytes = 0
for (const part of task.snapshot('changes')) bytes += JSON.stringify(part).length
report(`snapshot of ${PART_PANES} changes`, since, PART_PANES, `${(bytes / 1e6).toFixed(1)} MB of JSON`)

const { state } = task
task = createTask(null)
globalThis.gc?.()
since = cpuMs()
task = createTask(state)
let at = 0
for (const length of lengths) {
  const line = Buffer.alloc(length)
  readSync(file, line, 0, length, at)
  at += length
  task.restore(JSON.parse(line.toString()) as MergeSnapshot)
  memory()
}
closeSync(file)
report('restore, from a file', since, PANES, `${task.openPanes} panes`)

since = cpuMs()
let rows = 0
for (let window = 1; window <= WINDOWS; window++) {
  fold(task, window * WINDOW_MS, 'null')
  for (const { count } of task.cut({ epoch: window, nowMs: 0 }).tables) rows += count
  memory()
  task.clear()
  for (const part of task.snapshot('changes')) bytes += JSON.stringify(part).length
}
report('fire and say so, by window', since, PANES, `${rows} rows`)
console.log(`peak ${(Math.max(peakBytes, process.resourceUsage().maxRSS * 1024) / 2 ** 20).toFixed(0)} MB`)
