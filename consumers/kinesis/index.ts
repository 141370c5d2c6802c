import { PipelineError } from '../../src/errors.ts'
import type { KinesisOptions } from '../../src/kinesis/options.ts'
import { LEASE_TIMES, type LeaseTimes } from '../../src/leases/lease-membership.ts'
import type { SchemaRegistry, SourceBinding } from '../../src/ports.ts'
import type { StreamStart } from './lineage.ts'
import { type PollLimits, resolvePollLimits } from './poll-limits.ts'
import { KinesisSource } from './source.ts'

export interface KinesisSourceBindingOptions extends KinesisOptions {
  /** Its name, not its ARN. */
  readonly stream: string
  /** Where the writers' schemas are: `confluentRegistry({ url })`, `glueRegistry({ region })`, `directoryRegistry(path)`. */
  readonly registry: SchemaRegistry
  /**
   * Where a new pipeline begins: 'earliest' (default) with all that the stream has, 'latest' with what arrives from now on, a Date with what arrived then or later,
   * `{ sequenceNumbers: { 'shardId-000000000000': '4960…' } }` with these records of these shards. Shards that come later are read from their beginning in any case.
   */
  readonly from?: StreamStart
  /** Reads by enhanced fan-out, under the name of this registered consumer: one for each pipeline. It is registered where it is not there. Absent: shards are polled. */
  readonly fanOut?: { readonly consumer: string }
  /** How shards are polled, and how much waits in memory. */
  readonly fetch?: Partial<KinesisFetchLimits>
  /** How often new shards are looked for, in milliseconds, such as `seconds(30)` (default). What a shard was split into is known at its end. */
  readonly refreshEvery?: number
  /** Of the leases by which processes share the shards. */
  readonly leases?: Partial<Omit<LeaseTimes, 'refreshMs'>>
  /** A name that this process keeps over restarts: it gets its shards back at once. */
  readonly workerName?: string
}

export interface KinesisFetchLimits extends PollLimits {
  /** What waits in memory, over all shards that this process reads, in bytes. Default 64 MiB. A shard with nothing in memory gets one answer (10 MB at most) all the same. */
  readonly bufferBytes: number
}

const BUFFER_BYTES = 64 * 1024 * 1024
const BUFFER_BYTES_MAX = 1024 * 1024 * 1024
const MINUTE_MS = 60_000

/**
 * The shards of a Kinesis stream as the source of a run. docs/kinesis.md has the options, the permissions and what each error means.
 *
 * @example
 * kinesis({ stream: 'trips', region: 'eu-west-1', registry: confluentRegistry({ url }) })
 */
export function kinesis(options: KinesisSourceBindingOptions): SourceBinding {
  const { stream, registry, from = 'earliest', fanOut, fetch = {}, refreshEvery, workerName } = options
  const { bufferBytes = BUFFER_BYTES, ...polling } = fetch
  const refreshMs = refreshEvery ?? LEASE_TIMES.refreshMs
  checkNames(options)
  if (typeof (registry as Partial<SchemaRegistry> | undefined)?.schemaById !== 'function') {
    throw invalid(
      'no registry is given',
      "As in registry: confluentRegistry({ url }), of 'millrace/consumers/registry'.",
    )
  }
  checkFrom(from)
  if (!Number.isSafeInteger(bufferBytes) || bufferBytes < 1 || bufferBytes > BUFFER_BYTES_MAX) {
    throw invalid(`fetch.bufferBytes is ${bufferBytes}`, `A whole number from 1 to ${BUFFER_BYTES_MAX}.`)
  }
  if (!(refreshMs >= 1_000 && refreshMs <= 60 * MINUTE_MS)) {
    throw invalid(`refreshEvery is ${refreshMs}`, 'Milliseconds, from seconds(1) to minutes(60).')
  }
  const source = {
    stream,
    kinesis: options,
    from,
    fanOut: fanOut ?? null,
    limits: resolvePollLimits(polling),
    bufferBytes,
    leases: { ...LEASE_TIMES, ...options.leases, refreshMs },
    workerName: workerName ?? null,
  }
  return { open: (world) => new KinesisSource(source, world), registry, isReplay: false }
}

function checkNames({ stream, fanOut, workerName }: KinesisSourceBindingOptions): void {
  if (!isName(stream)) {
    const isArn = typeof stream === 'string' && stream.startsWith('arn:')
    throw invalid(
      stream === undefined ? 'no stream is named' : `${JSON.stringify(stream)} is no name of a stream`,
      isArn
        ? `Give its name, which is what follows the last '/', and its region: stream: '${stream.slice(stream.lastIndexOf('/') + 1)}'.`
        : 'A stream has letters, digits, dots, underscores and hyphens in its name, 128 at most.',
    )
  }
  if (fanOut !== undefined && !isName(fanOut.consumer)) {
    throw invalid(
      `fanOut.consumer is ${JSON.stringify(fanOut.consumer) ?? 'missing'}`,
      'The name of a registered consumer: letters, digits, dots, underscores and hyphens, 128 at most.',
    )
  }
  if (workerName !== undefined && !isName(workerName)) {
    throw invalid(
      `workerName is ${JSON.stringify(workerName)}`,
      'Letters, digits, dots, underscores and hyphens, 128 at most; another one for each process.',
    )
  }
}

/** Programs without types, and variables of an environment that lacks them, give anything. */
function isName(given: unknown): boolean {
  return typeof given === 'string' && /^[\w.-]{1,128}$/.test(given)
}

function checkFrom(from: StreamStart): void {
  const choices =
    "It is 'earliest', 'latest', a Date, or { sequenceNumbers: { 'shardId-000000000000': '…' } }."
  if (from === 'earliest' || from === 'latest') return
  if (from instanceof Date) {
    if (from.getTime() >= 0) return
    throw invalid(`from is ${String(from)}`, choices)
  }
  const given: unknown = typeof from === 'object' ? from?.sequenceNumbers : undefined
  if (typeof given !== 'object' || given === null) throw invalid(`from is ${JSON.stringify(from)}`, choices)
  const entries = Object.entries(given)
  if (entries.length === 0) throw invalid('from.sequenceNumbers is empty', 'Name the shards to begin in.')
  for (const [shardId, sequenceNumber] of entries) {
    if (!/^shardId-\d{12}$/.test(shardId)) {
      throw invalid(
        `from.sequenceNumbers has ${JSON.stringify(shardId)}`,
        "Shards are called 'shardId-000000000000'.",
      )
    }
    if (typeof sequenceNumber === 'string' && /^\d{1,128}$/.test(sequenceNumber)) continue
    throw invalid(
      `from.sequenceNumbers has ${JSON.stringify(sequenceNumber)} for ${shardId}`,
      'A sequence number is digits, as text: JavaScript has no number of that length.',
    )
  }
}

function invalid(what: string, advice: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `kinesis(): ${what}`, { advice })
}

export type { AwsCredentials, KinesisOptions } from '../../src/kinesis/options.ts'
