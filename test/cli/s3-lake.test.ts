import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { findS3, freshBucket, s3Environment, startS3 } from '../parts/s3.ts'
import { type Fault, type FaultProxy, s3ErrorBody, startFaultProxy } from '../support/fault-proxy.ts'
import { keptProject, REPLAY } from './project.ts'
import { CLI_ENV, type CliResult, folderWith, runCli } from './run-cli.ts'

const server = await findS3()

describe.skipIf(server.kind === 'missing')('a lake in S3', () => {
  if (server.kind === 'missing') return
  const { cwd, remove } = keptProject()
  const cache = join(cwd, 'cache')
  const env = { ...s3Environment(server), XDG_CACHE_HOME: cache }
  const local = join(cwd, 'lake')
  let bucket: string
  let lake: string
  let expected: string
  afterAll(remove)

  const ok = async (running: Promise<CliResult>): Promise<CliResult> => {
    const result = await running
    expect(result.code, result.err).toBe(0)
    return result
  }
  /** Rows of all tables, without what differs between runs. One command: a process takes its time to start. */
  const contents = async (
    name: string,
    settings: Readonly<Record<string, string>> = env,
  ): Promise<string> => {
    const tables = ['bronze.orders', 'silver.orders', 'gold.shop_quarters', 'dead_letters']
    const rows = tables.map((table) => `select '${table}' as t, to_json(x)::varchar as r from ${table} x`)
    const sql = `select t, regexp_replace(r, '"_processed_at":"[^"]*"', '') as r from (${rows.join(' union all ')}) order by all`
    return (await ok(runCli(['query', sql, '--lake', name, '--format', 'csv'], { env: settings }))).out
  }

  beforeAll(async () => {
    bucket = await freshBucket(server)
    lake = `s3://${bucket}/some/lake`
    await Promise.all([
      ok(runCli([...REPLAY, '--lake', local], { cwd })),
      ok(runCli([...REPLAY, '--lake', lake], { cwd, env })),
    ])
    expected = await contents(local)
  })

  test('has the same tables and rows as one in a folder', async () => {
    const listed = (name: string) => ok(runCli(['tables', '--columns', '--lake', name], { env }))
    expect((await listed(lake)).out).toBe((await listed(local)).out)
    expect(expected.split('\n').length).toBe(1 + 163 + 159 + 29 + 2 + 1)
    expect(await contents(lake)).toBe(expected)
  })

  test('shows its dead letters', async () => {
    const args = ['dead-letters', 'ls', '--lake']
    const [there, here] = await Promise.all([runCli([...args, lake], { env }), runCli([...args, local])])
    expect(there.out).toBe(here.out)
    const shown = await ok(runCli(['dead-letters', 'show', '1', '--lake', lake], { env }))
    expect(shown.out).toMatch(/dead letter 1/)
  })

  test('is read and published: a second replay changes nothing', async () => {
    const { out } = await ok(runCli([...REPLAY, '--lake', lake], { cwd, env }))
    expect(out).toMatch(/^Everything is read and published; nothing changed/)
  })

  test('leaves nothing of a query behind but the cache, which is where it is told to be', async () => {
    const folder = folderWith({})
    const args = ['query', 'select count(*) as n from bronze.orders', '--lake', lake, '--format', 'csv']
    const { out } = await ok(runCli([...args, '--cache-dir', folder, '--cache-bytes', '1MiB'], { env }))
    expect(out).toBe('n\n163\n')
    expect(readdirSync(join(folder, 'runs'))).toEqual([])
    const small = await runCli([...args, '--cache-dir', folder, '--cache-bytes', '10'], { env })
    expect(small).toMatchObject({ code: 1, out: '' })
    expect(small.err).toMatch(/^error CACHE_TOO_SMALL: .*\n→ .*--cache-bytes/)
    expect(readdirSync(join(folder, 'runs'))).toEqual([])
  })

  test('says what is wrong with where it is', async () => {
    const failure = async (name: string, change: Readonly<Record<string, string>> = {}) => {
      const { code, out, err } = await runCli(['tables', '--lake', name], { env: { ...env, ...change } })
      expect(out).toBe('')
      return `${code} ${err}`
    }
    const said = await Promise.all([
      failure('s3://no-such-bucket/x'),
      failure(`s3://${bucket}/elsewhere`),
      failure('s3://'),
      failure('gs://bucket/x'),
      failure(lake, { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }),
    ])
    expect(said[0]).toMatch(/^1 error BUCKET_NOT_FOUND: .*no-such-bucket.*\n→ Make the bucket/)
    expect(said[1]).toMatch(/^1 error LAKE_NOT_FOUND: there is no lake at s3:.*elsewhere/)
    expect(said[2]).toMatch(/^2 error USAGE: .*names no bucket\n→ .*s3:\/\/bucket\/prefix/)
    expect(said[3]).toMatch(/^2 error USAGE: --lake gs:/)
    expect(said[4]).toMatch(/^1 error STORE_UNREACHABLE: .*ECONNREFUSED.*\n→ Check that it runs/)
  })

  test('refuses to run where the bucket is missing, the key is unknown or the server ignores conditions', async () => {
    const refused = async (change: Readonly<Record<string, string>>, name = lake): Promise<string> => {
      const { code, err } = await runCli([...REPLAY, '--lake', name, '--log-level', 'error'], {
        cwd,
        env: { ...env, ...change },
      })
      return `${code} ${err}`
    }
    expect(await refused({}, 's3://no-such-bucket/x')).toMatch(/^1 error BUCKET_NOT_FOUND/)
    const strict = await startS3({ auth: true })
    onTestFinished(() => strict.dispose())
    const settings = { ...s3Environment(strict), AWS_ACCESS_KEY_ID: 'somebody' }
    expect(await refused(settings)).toMatch(/^1 error CREDENTIALS_INVALID: .*InvalidAccessKeyId.*\n→ /)
    const proxy = await startFaultProxy(server.endpoint)
    onTestFinished(() => proxy.close())
    proxy.plan(() => ({ kind: 'drop-header', name: 'if-none-match' }))
    const careless = await refused({ AWS_ENDPOINT_URL_S3: proxy.url }, `s3://${bucket}/careless`)
    expect(careless).toMatch(/^1 error STORE_NOT_CONDITIONAL: /)
  })

  describe('through troubles', { timeout: 180_000 }, () => {
    let proxy: FaultProxy
    beforeAll(async () => {
      proxy = await startFaultProxy(server.endpoint)
    })
    afterAll(() => proxy.close())
    const replay = (name: string, endpoint: string) =>
      runCli([...REPLAY, '--lake', name, '--flush-rows', '20', '--batch-records', '10'], {
        cwd,
        env: { ...env, AWS_ENDPOINT_URL_S3: endpoint },
      })

    test('loses and repeats nothing when every fifth request fails in one way or another', async () => {
      const faults: readonly Fault[] = [
        { kind: 'answer', status: 503, body: s3ErrorBody('SlowDown') },
        { kind: 'lost-answer' },
        { kind: 'answer', status: 500, body: s3ErrorBody('InternalError') },
        { kind: 'cut-request', afterBytes: 10 },
        { kind: 'cut-answer', afterBytes: 20 },
        { kind: 'answer', status: 409, body: s3ErrorBody('ConditionalRequestConflict') },
      ]
      let count = 0
      proxy.plan(({ method }) => {
        if (++count % 5 !== 0) return null
        const fault = faults[(count / 5) % faults.length]!
        // Neither could happen to it.
        const isOther = method !== 'PUT' && (fault.kind === 'cut-request' || fault.kind === 'answer')
        return isOther ? { kind: 'lost-answer' } : fault
      })
      const name = `s3://${bucket}/storm`
      await ok(replay(name, proxy.url))
      expect(count).toBeGreaterThan(100)
      expect(await contents(name)).toBe(expected)
    })

    test('goes on where it was killed, whatever it was about to ask for', async () => {
      const name = `s3://${bucket}/killed`
      const program = fileURLToPath(new URL('./from-source.ts', import.meta.url))
      const args = [...REPLAY, '--lake', name, '--flush-rows', '20', '--batch-records', '10']
      const settings = { ...CLI_ENV, ...env, AWS_ENDPOINT_URL_S3: proxy.url }
      /** Of a run: after so many requests its process is gone, and the one it asked for is or is not done. */
      const runUntil = async (requests: number): Promise<NodeJS.Signals | null> => {
        const child = spawn(process.execPath, [program, ...args], { cwd, env: settings, stdio: 'ignore' })
        let seen = 0
        proxy.plan(() => {
          if (++seen !== requests) return null
          child.kill('SIGKILL')
          return requests % 2 === 0 ? { kind: 'hang' } : null
        })
        const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
        return signal
      }
      let kills = 0
      // Each run gets further than the one before; none of them may be the last.
      for (const requests of [12, 31, 44, 57, 70]) if ((await runUntil(requests)) === 'SIGKILL') kills++
      expect(kills).toBeGreaterThan(2)
      proxy.plan(() => null)
      await ok(replay(name, proxy.url))
      expect(await contents(name)).toBe(expected)
    })

    test('waits while the server is away, and goes on', async () => {
      const own = await startS3()
      onTestFinished(() => own.dispose())
      const settings = { ...s3Environment(own), XDG_CACHE_HOME: cache }
      const name = `s3://${await freshBucket(own)}/outage`
      const front = await startFaultProxy(own.endpoint)
      onTestFinished(() => front.close())
      let puts = 0
      const outages: Promise<void>[] = []
      front.plan(({ method }) => {
        if (method === 'PUT' && ++puts === 20) outages.push(own.kill().then(() => own.restart()))
        return null
      })
      await ok(replay(name, front.url))
      expect(outages).toHaveLength(1)
      await outages[0]
      expect(await contents(name, settings)).toBe(expected)
    })
  })
})
