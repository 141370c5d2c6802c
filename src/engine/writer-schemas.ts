import { compileDecoder, type RecordDecoder } from '../avro/decoder.ts'
import { type AvroType, parseAvroSchema } from '../avro/schema-model.ts'
import { GLUE_FIRST_BYTE, GLUE_UUID_AT, glueUuidAt, isGlueFrame } from '../columns/glue-frame.ts'
import { assert, messageOf, PipelineError } from '../errors.ts'
import type { RecordBatch } from '../ports.ts'
import type { DeadLetterReason } from './dead-letter.ts'
import { SchemaVersions } from './schema-versions.ts'

/** What the registry's answer for a schema id comes to. */
export type WriterSchema =
  | { readonly kind: 'decoder'; readonly decoder: RecordDecoder }
  | { readonly kind: 'refused'; readonly reason: DeadLetterReason; readonly message: string }

/** A Confluent frame: a zero byte, then the schema id as a big-endian int32. */
export const FRAME_BYTES = 5

/** What a frame names: Confluent's schema id, or the UUID of a schema version of the AWS Glue Schema Registry, as text. */
export type SchemaId = number | string

/**
 * What the frame of a record comes to, as one number: a schema id of Confluent's, from 0 on; NO_FRAME; and below that the schema versions of Glue, of which
 * UNKNOWN_VERSION are those that no registry is known to have.
 */
export const NO_FRAME = -1
export const UNKNOWN_VERSION = -2
const FIRST_VERSION = -3

/** True where the frame of such a number is that of Glue. */
export function isVersion(frame: number): boolean {
  return frame < NO_FRAME
}

/** Takes apart a body that zlib's format wraps: its bytes, or why they cannot be had. */
export type Inflate = (body: Uint8Array) => Uint8Array | string

export interface WriterSchemasOptions {
  /** Who decodes has it. */
  readonly inflate?: Inflate
  /** False where no registry can be asked for schema versions. Default: true. */
  readonly knowsVersions?: boolean
}

/** Records that begin with a zero byte by chance have an id each. Beyond so many the oldest are forgotten, and asked for again. */
const UNKNOWN_MAX = 1_000_000

/** The writers' schemas seen so far, each with a decoder into the reader's columns. */
export class WriterSchemas {
  readonly #reader: AvroType
  readonly #known = new Map<number, WriterSchema>()
  /** What the registry did not have when it was asked last. */
  readonly #unknown = new Set<number>()
  readonly #versions = new SchemaVersions()
  readonly #options: WriterSchemasOptions
  #own: RecordDecoder | null = null

  constructor(reader: AvroType, options: WriterSchemasOptions = {}) {
    this.#reader = reader
    this.#options = options
  }

  get inflate(): Inflate {
    const { inflate } = this.#options
    assert(inflate !== undefined, 'who decodes compressed bodies gives a function that takes them apart')
    return inflate
  }

  /** Reads what is written in the program's own schema. */
  get own(): RecordDecoder {
    this.#own ??= compileDecoder(this.#reader, this.#reader)
    return this.#own
  }

  get(id: SchemaId): WriterSchema | undefined {
    if (typeof id === 'string') return this.#versions.get(id) ?? this.#unknownVersion(id)
    return this.#known.get(id) ?? (this.#unknown.has(id) ? unknownSchema(id) : undefined)
  }

  /** The number of the frame of record i. */
  frameOf({ arena, valueStart, valueEnd }: RecordBatch, index: number): number {
    const start = valueStart[index]!
    const end = valueEnd[index]!
    if (end - start < FRAME_BYTES) return NO_FRAME
    const first = arena[start]
    if (first === 0) return Math.max(NO_FRAME, confluentIdAt(arena, start))
    if (first !== GLUE_FIRST_BYTE || !isGlueFrame(arena, start, end)) return NO_FRAME
    const version = this.#versions.indexOf(arena, start + GLUE_UUID_AT)
    return version < 0 ? UNKNOWN_VERSION : FIRST_VERSION - version
  }

  /** The schema of record i, whose frame is one of Glue with this number. */
  versionOf(frame: number, { arena, valueStart }: RecordBatch, index: number): WriterSchema {
    if (frame !== UNKNOWN_VERSION) return this.#versions.at(FIRST_VERSION - frame)
    return this.#unknownVersion(glueUuidAt(arena, valueStart[index]!))
  }

  /**
   * The ids in a batch that have to be asked for before it can be decoded. What the registry did not have it may have by now: each
   * batch asks again, and the registry says how often that is worth a request.
   */
  missingIn(batch: RecordBatch): readonly SchemaId[] {
    const missing = new Set<SchemaId>()
    let last = NO_FRAME
    for (let i = 0; i < batch.count; i++) {
      if (batch.history?.isStored[i] === 1) continue
      const frame = this.frameOf(batch, i)
      if (frame === NO_FRAME || (frame === last && frame !== UNKNOWN_VERSION)) continue
      last = frame
      if (frame === UNKNOWN_VERSION) {
        if (this.#knowsVersions) missing.add(glueUuidAt(batch.arena, batch.valueStart[i]!))
      } else if (!isVersion(frame) && !this.#known.has(frame)) missing.add(frame)
    }
    return [...missing]
  }

  /** Takes the registry's answer: JSON text, or null where it has no such schema. */
  learn(id: SchemaId, json: string | null): void {
    if (typeof id === 'string') {
      if (json !== null) this.#versions.set(id, this.#resolve(id, json))
      return
    }
    this.#unknown.delete(id)
    if (json !== null) this.#known.set(id, this.#resolve(id, json))
    else {
      this.#unknown.add(id)
      if (this.#unknown.size > UNKNOWN_MAX) this.#unknown.delete(this.#unknown.values().next().value!)
    }
  }

  get #knowsVersions(): boolean {
    return this.#options.knowsVersions !== false
  }

  #unknownVersion(uuid: string): WriterSchema {
    const message = this.#knowsVersions
      ? `the registry has no schema version ${uuid}`
      : `the frame names the schema version ${uuid} of the AWS Glue Schema Registry, and no such registry is named: registries(…, glueRegistry({ region }))`
    return { kind: 'refused', reason: 'unknown-schema', message }
  }

  #resolve(id: SchemaId, json: string): WriterSchema {
    try {
      const parsed: unknown = JSON.parse(json)
      const other = otherKind(parsed)
      if (other !== null) {
        const message = `${schemaName(id)} is a ${other} schema; only Avro can be read`
        return { kind: 'refused', reason: 'incompatible-schema', message }
      }
      const writer = parseAvroSchema(parsed)
      return { kind: 'decoder', decoder: compileDecoder(writer, this.#reader) }
    } catch (error) {
      if (!(error instanceof PipelineError) && !(error instanceof SyntaxError)) throw error
      return {
        kind: 'refused',
        reason: 'incompatible-schema',
        message: `${schemaName(id)}: ${messageOf(error)}`,
      }
    }
  }
}

/** Below zero where no registry gives such an id. */
function confluentIdAt(arena: Uint8Array, start: number): number {
  return (arena[start + 1]! << 24) | (arena[start + 2]! << 16) | (arena[start + 3]! << 8) | arena[start + 4]!
}

/** 'schema 7' */
export function schemaName(id: SchemaId): string {
  return typeof id === 'number' ? `schema ${id}` : `schema version ${id}`
}

function unknownSchema(id: number): WriterSchema {
  return { kind: 'refused', reason: 'unknown-schema', message: `the registry has no schema with id ${id}` }
}

/** The kind of a schema that is not Avro, as `SchemaRegistry.schemaById` tells it. */
function otherKind(json: unknown): string | null {
  if (typeof json !== 'object' || json === null || 'type' in json || !('schemaType' in json)) return null
  return String(json.schemaType)
}
