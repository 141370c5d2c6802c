import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { s3 } from '../../../sinks/s3/index.ts'
import { findPython, runPython } from '../../parts/python.ts'
import { findS3, freshBucket } from '../../parts/s3.ts'
import { type PlainRow, type WrittenTable, writeTables } from '../outside-tables.ts'

/** pyarrow and deltalake read in S3 what we wrote there, in paths that S3 takes as they are and URLs do not. */

interface Reading {
  readonly rows?: readonly PlainRow[]
  readonly counts?: readonly number[]
  readonly error?: string
}

const READERS = ['pyarrow', 'deltalake'] as const
const server = await findS3()
const python = await findPython()
const isMissing = server.kind === 'missing' || python.kind === 'missing'

describe.skipIf(isMissing)('outside readers of a lake in S3', () => {
  if (server.kind === 'missing' || python.kind === 'missing') return
  let written: readonly WrittenTable[]
  let readings: Record<string, Record<(typeof READERS)[number], Reading>>
  let folder: string
  afterAll(() => rm(folder, { recursive: true, force: true }))

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-readers-'))
    const { endpoint, region, accessKeyId, secretAccessKey } = server
    const bucket = await freshBucket(server)
    const credentials = { accessKeyId, secretAccessKey }
    const lake = s3({ bucket, prefix: 'some/lake', endpoint, region, credentials })
    written = await writeTables(lake)
    await lake.store.close?.()
    const jobs = written.map(({ name, counts }) => ({
      name,
      path: `s3://${bucket}/some/lake/${name}`,
      counts: counts.map(({ condition }) => condition),
      readers: READERS,
      storage: { endpoint, region, accessKeyId, secretAccessKey },
    }))
    const file = join(folder, 'jobs.json')
    await writeFile(file, JSON.stringify(jobs))
    const program = new URL('../../parts/read_tables.py', import.meta.url).pathname
    readings = await runPython(python.executable, program, [file])
  })

  const sorted = (rows: readonly PlainRow[] = []) =>
    rows.toSorted((a, b) => Number(String(a['id']).slice(2)) - Number(String(b['id']).slice(2)))

  test('deltalake finds every row, and skips files as it should', () => {
    for (const { name, rows, counts } of written) {
      const reading = readings[name]!.deltalake
      expect([name, reading.error]).toEqual([name, undefined])
      expect(sorted(reading.rows), name).toEqual(sorted(rows))
      expect(reading.counts, name).toEqual(counts.map(({ expected }) => expected))
    }
  })

  test('pyarrow opens every file', () => {
    for (const { name, rows } of written) {
      const reading = readings[name]!.pyarrow
      expect([name, reading.error]).toEqual([name, undefined])
      expect([name, reading.rows!.length]).toEqual([name, rows.length])
    }
  })
})
