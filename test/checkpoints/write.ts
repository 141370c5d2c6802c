/**
 * Writes the lake that the test beside this file continues from, as the present code leaves it after a stop, a start and a crash:
 *
 *   npx node test/checkpoints/write.ts test/checkpoints/v1
 *
 * Once for each version of the record format, and never again: what is kept is what that version wrote.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { decodeUtf8 } from '../../src/columns/utf8.ts'
import { PipelineError } from '../../src/errors.ts'
import type { Clock, Entropy, ObjectStore, Source } from '../../src/ports.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'
import { rowsSource } from '../../src/testing/rows-source.ts'
import { scriptedSource } from '../support/scripted-source.ts'
import { hookedStore, SILENT, WORLD } from '../support/world.ts'
import { program, records } from './v1/program.ts'

let ticks = 0
const clock: Clock = {
  nowMs: () => 1_800_000_000_000 + ticks++,
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
}
const entropy: Entropy = { nonce: () => `nonce${String(ticks++).padStart(7, '0')}`, random: () => 0.5 }
const binding = rowsSource(program, records)

function start(lake: ObjectStore, source: Source, rowsMax: number) {
  return runPipeline(program, {
    source,
    registry: binding.registry,
    lake,
    format: deltaFormat(lake, rowEncoder),
    clock,
    entropy,
    log: SILENT,
    flush: { rowsMax, bytesMax: 1e9, everyMs: null, batchRecordsMax: 12 },
    fresh: false,
    signal: null,
    onProgress: null,
  })
}

const lake = memoryStore()
const stop = { kind: 'stop' } as const
// A graceful stop, then a start that goes on, …
await start(
  lake,
  scriptedSource(binding.open({ ...WORLD, clock }), {
    'frames-0': [20, stop],
    'frames-1': [15, stop],
    'frames-2': [9, stop],
  }),
  30,
)
// … and dies: some epochs are recorded and in some tables, the uploads of others are orphans.
let isDead = false
const dying = hookedStore(lake, {
  before(call, key) {
    isDead ||= call === 'putIfAbsent' && key.endsWith('/frames-1/000000000004.json')
    if (isDead || (call === 'putIfAbsent' && /silver\/once\/_delta_log\/0*[4-9]/.test(key))) {
      throw new PipelineError('CRASH', 'the process is gone')
    }
  },
})
await start(dying, binding.open({ ...WORLD, clock }), 30).catch((error: unknown) => {
  if (!(error instanceof PipelineError) || error.code !== 'CRASH') throw error
})

const objects: Record<string, string> = {}
for (const { key } of await lake.list('')) {
  if (!key.startsWith('_millrace/probe/')) objects[key] = decodeUtf8((await lake.get(key))!)
}
writeFileSync(join(process.argv[2]!, 'lake.json'), `${JSON.stringify(objects, null, 1)}\n`)
console.log(Object.keys(objects).join('\n'))
