import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { framedSchema } from '../../consumers/recording/recording-summary.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { isSameSchema } from '../avro/canonical-schema.ts'
import { type SchemaId, schemaName } from '../engine/writer-schemas.ts'
import { messageOf, PipelineError, unreachable } from '../errors.ts'
import type { SchemaRegistry } from '../ports.ts'
import { schemaOf } from '../runtime/schema-memory.ts'

/** What became of the schema of an id. */
export type CapturedSchema =
  | { readonly kind: 'written'; readonly id: SchemaId; readonly name: string }
  | { readonly kind: 'present' | 'unknown'; readonly id: SchemaId }
  /** Not Avro: a replay makes dead letters of its records, as a run does. */
  | { readonly kind: 'other'; readonly id: SchemaId; readonly schemaType: string }
  | { readonly kind: 'failed'; readonly id: SchemaId; readonly error: unknown }

/** Writes the schemas that the records of a recording name into a folder, where a replay finds them: `1-order.avsc`. */
export class SchemaCapture {
  readonly #registry: SchemaRegistry
  readonly #folder: string
  readonly #captured = new Map<SchemaId, CapturedSchema>()
  readonly #noticed = new Set<SchemaId>()
  #working: Promise<void> = Promise.resolve()

  constructor(registry: SchemaRegistry, folder: string) {
    this.#registry = registry
    this.#folder = folder
  }

  get captured(): readonly CapturedSchema[] {
    return [...this.#captured.values()].sort((a, b) => compareIds(a.id, b.id))
  }

  /** To be called with each record's value: where it names a schema for the first time, it sets out to get that. */
  notice(value: Uint8Array | null): void {
    const id = framedSchema(value)
    if (id === null || (typeof id === 'number' && id < 0) || this.#noticed.has(id)) return
    this.#noticed.add(id)
    this.#working = this.#working.then(() => this.#capture(id))
  }

  /** Resolves when all are there, or have failed a second time. Never rejects. */
  async finish(): Promise<void> {
    await this.#working
    for (const { kind, id } of this.captured) if (kind === 'failed') await this.#capture(id)
  }

  async #capture(id: SchemaId): Promise<void> {
    try {
      this.#captured.set(id, await this.#captureOne(id))
    } catch (error) {
      this.#captured.set(id, { kind: 'failed', id, error })
    }
  }

  async #captureOne(id: SchemaId): Promise<CapturedSchema> {
    const schema = await schemaOf(this.#registry, id)
    if (schema === null) return { kind: 'unknown', id }
    const json = JSON.parse(schema) as {
      readonly type?: unknown
      readonly schemaType?: unknown
      readonly name?: unknown
    }
    if (json.type === undefined && json.schemaType !== undefined) {
      return { kind: 'other', id, schemaType: JSON.stringify(json.schemaType) }
    }
    await mkdir(this.#folder, { recursive: true })
    const present = await schemaOf(directoryRegistry(this.#folder), id)
    if (present !== null) {
      if (isSameSchema(present, schema)) return { kind: 'present', id }
      throw new PipelineError(
        'SCHEMA_ID_REUSED',
        `${this.#folder} has another ${typeof id === 'number' ? `schema with the id ${id}` : schemaName(id)} already`,
        {
          advice:
            'It belongs to another recording, or the registry was reset. Give the new recording a folder of its own.',
        },
      )
    }
    const name = fileName(id, json.name, await readdir(this.#folder))
    await writeFile(join(this.#folder, name), `${JSON.stringify(json, null, 2)}\n`)
    return { kind: 'written', id, name }
  }
}

/** '7-order.avsc' */
function fileName(id: SchemaId, name: unknown, taken: readonly string[]): string {
  const words = typeof name === 'string' ? name.slice(name.lastIndexOf('.') + 1) : ''
  const slug = words
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .toLowerCase()
  const wanted = slug === '' ? `${id}.avsc` : `${id}-${slug}.avsc`
  return taken.includes(wanted) ? `${id}.avsc` : wanted
}

/** For people. */
export function capturedText(schema: CapturedSchema): string {
  switch (schema.kind) {
    case 'written':
      return `${schemaName(schema.id)}: ${schema.name}`
    case 'present':
      return `${schemaName(schema.id)}: was there already`
    case 'unknown':
      return `${schemaName(schema.id)}: the registry does not have it`
    case 'other':
      return `${schemaName(schema.id)}: a ${schema.schemaType} schema, which is left out`
    case 'failed':
      return `${schemaName(schema.id)}: ${messageOf(schema.error)}`
    default:
      return unreachable(schema)
  }
}

/** Ids first, then versions. */
export function compareIds(left: SchemaId, right: SchemaId): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1
  return left < right ? -1 : 1
}
