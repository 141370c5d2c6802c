import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, it, vi } from 'vitest'
import { isAlive, mustBeReady } from './cache.ts'
import { composeUp } from './docker.ts'
import { createTopic, findKafka, findKafkaPackages, startKafka } from './kafka.ts'
import { findRegistryPackages, startRegistry } from './registry.ts'
import { findS3, findS3Packages, freshBucket, s3Client, startS3 } from './s3.ts'

const run = promisify(execFile)
// Virtual machines are started several times, perhaps on a busy machine.
vi.setConfig({ testTimeout: 170_000 })
const root = new URL('../../', import.meta.url).pathname

// With CI set a missing one throws here.
const kafkaPackages = mustBeReady(await findKafkaPackages())
const registryPackages = mustBeReady(await findRegistryPackages())
const s3Packages = mustBeReady(await findS3Packages())

describe.concurrent('parts of one’s own', () => {
  it.skipIf(kafkaPackages.kind === 'missing')('Kafka keeps its records over a kill', async () => {
    const kafka = await startKafka({ properties: { 'transaction.max.timeout.ms': '20000' } })
    try {
      await createTopic(kafka.brokers, 'kept', { partitions: 2, config: { 'retention.ms': '60000' } })
      const client = new Kafka({ brokers: [kafka.brokers], logLevel: logLevel.NOTHING })
      const producer = client.producer()
      await producer.connect()
      await producer.send({ topic: 'kept', messages: [{ value: 'one', partition: 1 }] })
      await producer.disconnect()

      await kafka.kill()
      expect(isAlive(kafka.pid())).toBe(false)
      await kafka.restart()

      const admin = client.admin()
      await admin.connect()
      const offsets = await admin.fetchTopicOffsets('kept')
      expect(new Map(offsets.map(({ partition, high }) => [partition, high]))).toEqual(
        new Map([
          [0, '0'],
          [1, '1'],
        ]),
      )
      await admin.disconnect()
    } finally {
      await kafka.dispose()
    }
    expect(existsSync(dirname(kafka.log))).toBe(false)
  })

  it.skipIf(registryPackages.kind === 'missing')('the registry keeps its schemas over a kill', async () => {
    const registry = await startRegistry()
    const get = async (path: string): Promise<unknown> =>
      await (await fetch(`${registry.url}${path}`, { signal: AbortSignal.timeout(20_000) })).json()
    try {
      const schema = '{"type":"record","name":"A","fields":[]}'
      const registered = await fetch(`${registry.url}/subjects/a-value/versions`, {
        method: 'POST',
        headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
        body: JSON.stringify({ schema }),
      })
      const { id } = (await registered.json()) as { id: number }
      await registry.kill()
      await expect(get('/subjects')).rejects.toThrow('fetch failed')
      await registry.restart()
      expect(await get(`/schemas/ids/${id}`)).toEqual({ schema })
      expect(await get(`/schemas/ids/${id + 1}`)).toMatchObject({ error_code: 40_403 })

      registry.pause()
      let isAnswered = false
      const answer = get('/subjects').then((subjects) => {
        isAnswered = true
        return subjects
      })
      await Promise.race([answer, run('sleep', ['0.3'])])
      expect(isAnswered).toBe(false)
      registry.resume()
      expect(await answer).toEqual(['a-value'])
    } finally {
      await registry.dispose()
    }
  })

  it.skipIf(s3Packages.kind === 'missing')(
    'S3 keeps its objects and its conditions over a kill',
    async () => {
      const s3 = await startS3({ auth: true })
      const client = s3Client(s3)
      const stranger = s3Client({ ...s3, accessKeyId: 'stranger' })
      try {
        const Bucket = await freshBucket(s3)
        const create = { Bucket, Key: 'chain/1', IfNoneMatch: '*' }
        const racers = await Promise.allSettled(
          Array.from({ length: 20 }, (_, racer) =>
            client.send(new PutObjectCommand({ ...create, Body: String(racer) })),
          ),
        )
        expect(racers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)

        await s3.kill()
        await s3.restart()
        await expect(client.send(new PutObjectCommand({ ...create, Body: 'late' }))).rejects.toMatchObject({
          name: 'PreconditionFailed',
        })
        const { Body, ETag } = await client.send(new GetObjectCommand({ Bucket, Key: 'chain/1' }))
        expect(racers[Number(await Body!.transformToString())]).toMatchObject({ value: { ETag } })
        await expect(
          stranger.send(new PutObjectCommand({ ...create, Key: 'x', Body: 'x' })),
        ).rejects.toMatchObject({
          name: 'InvalidAccessKeyId',
        })
      } finally {
        client.destroy()
        stranger.destroy()
        await s3.dispose()
      }
    },
  )

  it.skipIf(s3Packages.kind === 'missing')('go when their owner is killed', async () => {
    const program = `const { startS3 } = await import(${JSON.stringify(import.meta.resolve('./s3.ts'))})
      const s3 = await startS3()
      console.log(JSON.stringify({ pid: s3.pid(), log: s3.log }))
      setInterval(() => {}, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface(owner.stdout), 'line')) as [string]
    const { pid, log } = JSON.parse(line) as { pid: number; log: string }
    expect(isAlive(pid)).toBe(true)
    owner.kill('SIGKILL')
    await expect.poll(() => existsSync(dirname(log)), { timeout: 20_000 }).toBe(false)
    expect(await isRunning(pid)).toBe(false)
  })
})

/** A process that ended and that nobody waited for is still in the table of processes, as a zombie. */
async function isRunning(pid: number): Promise<boolean> {
  const { stdout } = await run('ps', ['-o', 'stat=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout.trim() !== '' && !stdout.startsWith('Z')
}

describe('shared parts', () => {
  it('are one for the whole run', async () => {
    const kafka = await findKafka()
    expect(await findKafka()).toEqual(kafka)
    const [first, second] = await Promise.all([findS3(), findS3()])
    expect(first).toEqual(second)
  })

  it('come from a Docker engine where there is one, in a project of the run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-docker-'))
    const path = process.env['PATH'] ?? ''
    try {
      const calls = join(folder, 'calls')
      await writeFile(join(folder, 'docker'), `#!/bin/sh\necho "$MILLRACE_KAFKA_PORT $*" >> '${calls}'\n`)
      await chmod(join(folder, 'docker'), 0o755)
      process.env['PATH'] = `${folder}${delimiter}${path}`
      const part = await composeUp('kafka', { pid: 7, folder }, (port) => port)
      const project = `compose -f ${join(root, 'docker-compose.kafka.yml')} -p millrace-test-kafka-7`
      expect(part).toMatchObject({
        stopCommand: ['docker', ...project.split(' '), 'down', '--volumes', '--timeout', '1'],
      })
      expect((await readFile(calls, 'utf8')).trim().split('\n').at(-1)).toBe(
        `${part?.value} ${project} up --detach --wait kafka`,
      )
    } finally {
      process.env['PATH'] = path
      await rm(folder, { recursive: true })
    }
  })
})

describe('docker-compose.kafka.yml', () => {
  const file = join(root, 'docker-compose.kafka.yml')

  it.skipIf(s3Packages.kind === 'missing')(
    'pins its images, checks their health and stays on the loopback',
    async () => {
      if (s3Packages.kind === 'missing') return
      // ministack brings a reader of YAML along.
      const program = 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)'
      const { stdout } = await run(join(dirname(s3Packages.command), 'python'), ['-c', program, file])
      const { services, volumes } = JSON.parse(stdout) as {
        services: Record<
          string,
          { image: string; ports: string[]; healthcheck: { test: unknown }; volumes?: string[] }
        >
        volumes: object
      }
      expect(Object.keys(services)).toEqual(['kafka', 'registry', 's3', 'kinesis'])
      for (const { image, ports, healthcheck, volumes: mounts = [] } of Object.values(services)) {
        expect(image).toMatch(/:.*\d+[.-]\d+/)
        for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/)
        expect(healthcheck.test).toBeDefined()
        for (const mount of mounts) expect(Object.keys(volumes)).toContain(mount.split(':')[0])
      }
    },
  )

  // Left out rather than skipped: with CI set a skip is a failure, and no part is missing.
  if (spawnSync('docker', ['compose', 'version'], { stdio: 'ignore' }).status === 0) {
    it('is understood by docker compose', async () => {
      await run('docker', ['compose', '-f', file, 'config', '--quiet'])
    })
  }
})
