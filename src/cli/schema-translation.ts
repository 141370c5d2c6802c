import { framedSchemaId } from '../../consumers/recording/recording-summary.ts'
import type { ConfluentRegistry } from '../../consumers/registry/index.ts'
import { PipelineError } from '../errors.ts'
import type { SchemaRegistry } from '../ports.ts'

export interface SchemaTranslationOptions {
  /** What the ids of the recording mean. */
  readonly from: SchemaRegistry
  readonly to: ConfluentRegistry
  readonly topic: string
  /** True: each schema has a subject of its own, `<topic>-value-<id>`, so that they need not go with each other. */
  readonly subjectPerSchema: boolean
}

/**
 * The schema ids of a recording in the registry of the topic: each schema is looked up there, or registered. An id that the recording's own
 * schemas do not have stays as it is, because the record is meant to be one that nobody can read.
 */
export class SchemaTranslation {
  readonly #options: SchemaTranslationOptions
  /** Null: nobody knows it. */
  readonly #ids = new Map<number, number | null>()

  constructor(options: SchemaTranslationOptions) {
    this.#options = options
  }

  /** Throws SCHEMA_INCOMPATIBLE, and what the registries throw. */
  async learn(ids: Iterable<number>): Promise<void> {
    for (const id of ids) if (!this.#ids.has(id)) this.#ids.set(id, await this.#register(id))
  }

  /** The value with the id that the topic's registry has for its schema; other bytes are the same. */
  translate(value: Uint8Array | null): Uint8Array | null {
    const id = framedSchemaId(value)
    const translated = id === null ? null : (this.#ids.get(id) ?? null)
    if (value === null || translated === null || translated === id) return value
    // Not `slice`, which for a Buffer is a view.
    const copy = new Uint8Array(value)
    new DataView(copy.buffer).setInt32(1, translated)
    return copy
  }

  /** What became of each id, ascending. */
  get ids(): readonly (readonly [from: number, to: number | null])[] {
    return [...this.#ids].sort(([a], [b]) => a - b)
  }

  async #register(id: number): Promise<number | null> {
    const { from, to, topic, subjectPerSchema } = this.#options
    const schema = id < 0 ? null : await from.schemaById(id)
    if (schema === null) return null
    try {
      return await to.register(subjectPerSchema ? `${topic}-value-${id}` : `${topic}-value`, schema)
    } catch (error) {
      if (!(error instanceof PipelineError) || error.code !== 'SCHEMA_INCOMPATIBLE') throw error
      throw new PipelineError(error.code, `schema ${id} of the recording: ${error.message}`, {
        cause: error,
        advice:
          '--subject-per-schema gives each schema of the recording a subject of its own. Or allow it in the registry: compatibility NONE for the subject.',
      })
    }
  }
}
