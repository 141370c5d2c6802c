import { Aggregate } from '../../consumers/kinesis/aggregate.ts'
import { decideRoots } from '../../consumers/kinesis/lineage.ts'
import { startOfPlace } from '../../consumers/kinesis/position.ts'
import { framedSchema } from '../../consumers/recording/recording-summary.ts'
import type { SchemaId, WriterSchemas } from '../engine/writer-schemas.ts'
import type { WireRecord } from '../kinesis/api.ts'
import { schemaOf } from '../runtime/schema-memory.ts'
import { systemClock } from '../runtime/system.ts'
import { type Finding, readable } from './check-finding.ts'
import { usageError } from './failure.ts'
import { counted } from './format.ts'
import type { NamedStream } from './kinesis-place.ts'
import { openKinesis } from './open-kinesis.ts'
import { registriesOf, registryPlace } from './registry-place.ts'
import { readOn } from './shard-tail.ts'
import { compareIds } from './schema-capture.ts'
import { SILENT } from './silent-log.ts'

export interface CheckedStream extends NamedStream {
  readonly from: 'earliest' | 'latest' | Date
  /** Of each shard, so many records are looked at. */
  readonly countMax: number
  /** As `glueOf` gives it. */
  readonly glue: string | null
}

/** Whether the program can read what is in a stream: the schemas that some of the records of each shard name. */
export async function checkStream(
  schemas: WriterSchemas,
  options: CheckedStream,
  registryName: string | null,
): Promise<readonly Finding[]> {
  const { stream, glue, region } = options
  if (registryName === null && glue === null) {
    throw usageError(
      `the stream ${stream} is to be checked, and no registry is named`,
      'Name one: --registry http://localhost:8081, --glue, or --glue-registry eu-west-1.',
    )
  }
  const named = registryName === null ? null : await registryPlace(registryName)
  const registry = registriesOf({ registry: named, glue, region })
  const { records, unframed, byId } = await contentOf(options)
  const looked = `stream ${stream}: ${counted(records, 'record')} looked at`
  const findings: Finding[] = [{ ok: true, text: looked }]
  for (const [id, count] of [...byId].sort(([a], [b]) => compareIds(a, b))) {
    const { ok, text } = readable(schemas, id, await schemaOf(registry, id))
    findings.push({ ok, text: `${text}: ${counted(count, 'record')}` })
  }
  if (unframed > 0) {
    const what = `${counted(unframed, 'record')} in no frame of a registry: dead letters (undecodable)`
    findings.push({ ok: false, text: what })
  }
  return findings
}

interface StreamContent {
  records: number
  unframed: number
  readonly byId: Map<SchemaId, number>
}

/** Of the first records of each shard, from where a pipeline would begin. */
async function contentOf(options: CheckedStream): Promise<StreamContent> {
  const { stream, from, countMax } = options
  const api = openKinesis(options, SILENT)
  const content: StreamContent = { records: 0, unframed: 0, byId: new Map() }
  const limits = { recordsMax: countMax, clock: systemClock }
  try {
    const { createdMs } = await api.describeStream(stream)
    const shards = await api.listShards(stream)
    const nowMs = systemClock.nowMs()
    const { begin } = decideRoots({ stream, createdMs, shards, from, known: new Set(), nowMs })
    for (const [shardId, place] of begin) {
      let count = 0
      await readOn(api, { stream, shardId }, startOfPlace(place)!, limits, (records) => {
        for (const value of valuesOf(records)) {
          if (count === countMax) break
          count += 1
          note(content, value)
        }
        return count
      })
    }
    return content
  } finally {
    api.close()
  }
}

function note(content: StreamContent, value: Uint8Array): void {
  const id = framedSchema(value)
  content.records += 1
  if (id === null) content.unframed += 1
  else content.byId.set(id, (content.byId.get(id) ?? 0) + 1)
}

/** Those of aggregates each by themselves. */
function* valuesOf(records: readonly WireRecord[]): Generator<Uint8Array> {
  const aggregate = new Aggregate()
  for (const { data } of records) {
    if (!aggregate.parse(data, null)) yield data
    else {
      for (let row = 0; row < aggregate.count; row++) {
        yield data.subarray(aggregate.dataStart[row], aggregate.dataEnd[row])
      }
    }
  }
}
