import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { mustBeReady } from '../parts/cache.ts'
import { findKinesisPackages } from '../parts/kinesis.ts'

const packages = mustBeReady(await findKinesisPackages())

/** Given a stand-in for Kinesis and a shard that was split, when the example's frames are published to it, then its tables have what a replay of them gives. */
it('runs by one command, from the stream to the tables', { timeout: 240_000 }, async ({ skip }) => {
  if (packages.kind === 'missing') {
    skip(packages.reason)
    return
  }
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-example-'))
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['examples/lorawan/kinesis-demo.ts'], {
      env: { ...process.env, MILLRACE_LAKE: join(scratch, 'lake') },
    })
    expect(stdout).toMatch(/^ bronze\.frames +38,542 /m)
    expect(stdout).toMatch(/^ silver\.frames +30,044 /m)
    expect(stdout).toMatch(/^ dead_letters +18 /m)
    expect(stdout).toMatch(/frames-000000000001 .* closed, and all published/)
    // Three partitions of the recording, in three shards, of which two are children.
    const shards = [...stdout.matchAll(/^ +(\d+) +\d+ +0 +(\d+)$/gm)].map(([, shard, last]) => [shard, last])
    expect(shards).toEqual([
      ['0', '13355'],
      ['2', '8624'],
      ['3', '16571'],
    ])
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
})
