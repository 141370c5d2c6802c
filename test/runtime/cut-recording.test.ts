import { copyFileSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { recordingSource } from '../../consumers/recording/source.ts'
import { directoryRegistry } from '../../consumers/registry/directory.ts'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import lorawan from '../../examples/lorawan/lorawan.ts'
import type { ObjectStore } from '../../src/ports.ts'
import { runPipeline } from '../../src/runtime/run-pipeline.ts'
import { systemClock, systemEntropy } from '../../src/runtime/system.ts'
import { createLog } from '../../src/runtime/log.ts'
import { memoryStore } from '../../src/testing/memory-store.ts'
import { rowEncoder } from '../../src/testing/row-encoder.ts'

const example = (name: string) => fileURLToPath(new URL(`../../examples/lorawan/${name}`, import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'millrace-cut-'))
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

function replayInto(lake: ObjectStore, path: string) {
  return runPipeline(lorawan, {
    source: recordingSource({ path }),
    registry: directoryRegistry(example('registry')),
    lake,
    format: deltaFormat(lake, rowEncoder),
    clock: systemClock,
    entropy: systemEntropy,
    log: createLog({ level: 'silent', pretty: false }),
    flush: { rowsMax: 100_000, bytesMax: 1e9, everyMs: null, batchRecordsMax: 1_000 },
    fresh: false,
    signal: null,
    onProgress: null,
  })
}

it('commits what came before the cut, says where it is, and goes on from there with the whole file', async () => {
  const cut = join(scratch, 'frames.avro')
  copyFileSync(example('frames.avro'), cut)
  truncateSync(cut, Math.floor(statSync(cut).size / 2))
  const lake = memoryStore()
  await expect(replayInto(lake, cut)).rejects.toMatchObject({ code: 'RECORDING_CUT' })
  const summary = await replayInto(lake, example('frames.avro'))
  expect(summary.outcome).toBe('completed')
  // All that the first run could read was kept: the second read only the rest.
  expect(summary.records).toBeLessThan(38_553 * 0.6)
  expect(summary.tables.find(({ path }) => path === 'bronze/frames')?.rows).toBe(38_542)
})
