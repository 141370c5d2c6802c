import { describe, expect, it } from 'vitest'
import { kinesis, type KinesisSourceBindingOptions } from '../../../consumers/kinesis/index.ts'
import { systemClock, systemEntropy } from '../../../src/runtime/system.ts'
import { SILENT } from '../../support/world.ts'

const GOOD: KinesisSourceBindingOptions = {
  stream: 'trips',
  region: 'eu-west-1',
  registry: { description: 'none', schemaById: async () => null },
}

function failure(options: object): string {
  try {
    const binding = kinesis({ ...GOOD, ...options })
    void binding.open({ clock: systemClock, entropy: systemEntropy, log: SILENT, acceptLoss: false }).close()
  } catch (error) {
    const { code, message, advice } = error as { code?: string; message: string; advice?: string }
    return `${code} ${message} | ${advice}`
  }
  return 'none'
}

describe('kinesis()', () => {
  it.each([
    [{}],
    [{ from: 'latest' }],
    [{ from: new Date('2026-11-23') }],
    [{ from: { sequenceNumbers: { 'shardId-000000000000': '49' } } }],
    [{ fanOut: { consumer: 'taxi' }, workerName: 'host-1' }],
    [{ fetch: { bufferBytes: 1, intervalMs: 500 }, refreshEvery: 5_000, leases: { ttlMs: 60_000 } }],
  ])('takes %o', (options) => {
    expect(failure(options)).toBe('none')
  })

  it.each([
    [{ stream: '' }, 'is no name of a stream'],
    [{ stream: undefined }, 'no stream is named'],
    [{ stream: 'a b' }, 'is no name of a stream'],
    [{ stream: 'arn:aws:kinesis:eu-west-1:1:stream/trips' }, "stream: 'trips'"],
    [{ from: 'now' }, "'earliest', 'latest', a Date"],
    [{ from: null }, "'earliest', 'latest', a Date"],
    [{ from: new Date('never') }, "'earliest', 'latest', a Date"],
    [{ from: { sequenceNumbers: {} } }, 'Name the shards'],
    [{ from: { sequenceNumbers: { '0': '49' } } }, 'shardId-000000000000'],
    [{ from: { sequenceNumbers: { 'shardId-000000000000': 49 } } }, 'digits, as text'],
    [{ fanOut: { consumer: '' } }, 'fanOut.consumer'],
    [{ fanOut: {} }, 'fanOut.consumer is missing'],
    [{ registry: undefined }, 'no registry'],
    [{ region: 'eu west' }, 'is no name of a region'],
    [{ credentials: { accessKeyId: 'alone' } }, 'no secretAccessKey'],
    [{ workerName: 'a/b' }, 'workerName'],
    [{ fetch: { bufferBytes: 0 } }, 'fetch.bufferBytes'],
    [{ fetch: { intervalMs: 0 } }, 'fetch.intervalMs'],
    [{ refreshEvery: 10 }, 'refreshEvery'],
    [{ leases: { heartbeatMs: 15_000 } }, 'leases.heartbeatMs'],
    [{ endpoint: 'localhost' }, 'endpoint'],
  ])('refuses %o', (options, words) => {
    const said = failure(options)
    expect(said).toMatch(/^OPTION_INVALID /)
    expect(said).toContain(words)
    expect(said).not.toContain('undefined')
  })
})
