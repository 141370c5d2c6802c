import { compileDecoder, type RecordDecoder } from '../avro/decoder.ts'
import { type AvroType, parseAvroSchema } from '../avro/schema-model.ts'
import { messageOf, PipelineError } from '../errors.ts'
import type { RecordBatch } from '../ports.ts'
import type { DeadLetterReason } from './dead-letter.ts'

/** What the registry's answer for a schema id comes to. */
export type WriterSchema =
  | { readonly kind: 'decoder'; readonly decoder: RecordDecoder }
  | { readonly kind: 'refused'; readonly reason: DeadLetterReason; readonly message: string }

/** A Confluent frame: a zero byte, then the schema id as a big-endian int32. */
export const FRAME_BYTES = 5

/** The schema id in the frame of record i, a positive int32; below zero where there is no frame, or no such id in it. */
export function schemaIdOf(batch: RecordBatch, index: number): number {
  const start = batch.valueStart[index]!
  if (batch.valueEnd[index]! - start < FRAME_BYTES) return -1
  const arena = batch.arena
  if (arena[start] !== 0) return -1
  return (arena[start + 1]! << 24) | (arena[start + 2]! << 16) | (arena[start + 3]! << 8) | arena[start + 4]!
}

/** Records that begin with a zero byte by chance have an id each. Beyond so many the oldest are forgotten, and asked for again. */
const UNKNOWN_MAX = 1_000_000

/** The writers' schemas seen so far, each with a decoder into the reader's columns. */
export class WriterSchemas {
  readonly #reader: AvroType
  readonly #known = new Map<number, WriterSchema>()
  /** What the registry did not have when it was asked last. */
  readonly #unknown = new Set<number>()
  #own: RecordDecoder | null = null

  constructor(reader: AvroType) {
    this.#reader = reader
  }

  /** Reads what is written in the program's own schema. */
  get own(): RecordDecoder {
    this.#own ??= compileDecoder(this.#reader, this.#reader)
    return this.#own
  }

  get(id: number): WriterSchema | undefined {
    return this.#known.get(id) ?? (this.#unknown.has(id) ? unknownSchema(id) : undefined)
  }

  /**
   * The ids in a batch that have to be asked for before it can be decoded. What the registry did not have it may have by now: each
   * batch asks again, and the registry says how often that is worth a request.
   */
  missingIn(batch: RecordBatch): readonly number[] {
    const missing = new Set<number>()
    let last = -1
    for (let i = 0; i < batch.count; i++) {
      if (batch.history?.isStored[i] === 1) continue
      const id = schemaIdOf(batch, i)
      if (id === last || id < 0) continue
      last = id
      const known = this.#known.get(id)
      if (known === undefined || (known.kind === 'refused' && known.reason === 'unknown-schema'))
        missing.add(id)
    }
    return [...missing]
  }

  /** Takes the registry's answer: JSON text, or null where it has no such schema. */
  learn(id: number, json: string | null): void {
    this.#unknown.delete(id)
    if (json !== null) this.#known.set(id, this.#resolve(id, json))
    else {
      this.#unknown.add(id)
      if (this.#unknown.size > UNKNOWN_MAX) this.#unknown.delete(this.#unknown.values().next().value!)
    }
  }

  #resolve(id: number, json: string): WriterSchema {
    try {
      const parsed: unknown = JSON.parse(json)
      const other = otherKind(parsed)
      if (other !== null) {
        const message = `schema ${id} is a ${other} schema; only Avro can be read`
        return { kind: 'refused', reason: 'incompatible-schema', message }
      }
      const writer = parseAvroSchema(parsed)
      return { kind: 'decoder', decoder: compileDecoder(writer, this.#reader) }
    } catch (error) {
      if (!(error instanceof PipelineError) && !(error instanceof SyntaxError)) throw error
      return { kind: 'refused', reason: 'incompatible-schema', message: `schema ${id}: ${messageOf(error)}` }
    }
  }
}

function unknownSchema(id: number): WriterSchema {
  return { kind: 'refused', reason: 'unknown-schema', message: `the registry has no schema with id ${id}` }
}

/** The kind of a schema that is not Avro, as `SchemaRegistry.schemaById` tells it. */
function otherKind(json: unknown): string | null {
  if (typeof json !== 'object' || json === null || 'type' in json || !('schemaType' in json)) return null
  return String(json.schemaType)
}
