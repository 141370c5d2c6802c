import { assert } from '../errors.ts'
import type { WriterSchema } from './writer-schemas.ts'

interface SchemaVersion {
  readonly uuid: Uint8Array
  readonly index: number
  schema: WriterSchema
}

const UUID_BYTES = 16
const UUID_TEXT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * What is known of schemas by the UUIDs of their versions. Each UUID has a small number, by which many records of one schema are found to be such without a text for
 * each of them. Only what a registry has is in here: UUIDs that are none, made of records that begin like a frame by chance, would never end.
 */
export class SchemaVersions {
  readonly #versions: SchemaVersion[] = []
  /** By the first four bytes, which are random in what Glue gives. */
  readonly #byHead = new Map<number, SchemaVersion[]>()
  /** Found last: records of a schema come one after the other. */
  #last: SchemaVersion | null = null

  /** The number of the UUID that begins at `at`; below zero where nothing is known of it. */
  indexOf(bytes: Uint8Array, at: number): number {
    const last = this.#last
    if (last !== null && isAt(last.uuid, bytes, at)) return last.index
    for (const version of this.#byHead.get(headAt(bytes, at)) ?? []) {
      if (!isAt(version.uuid, bytes, at)) continue
      this.#last = version
      return version.index
    }
    return -1
  }

  at(index: number): WriterSchema {
    return this.#versions[index]!.schema
  }

  get(text: string): WriterSchema | undefined {
    const index = this.indexOf(bytesOf(text), 0)
    return index < 0 ? undefined : this.at(index)
  }

  set(text: string, schema: WriterSchema): void {
    const uuid = bytesOf(text)
    const index = this.indexOf(uuid, 0)
    if (index >= 0) {
      this.#versions[index]!.schema = schema
      return
    }
    const version = { uuid, index: this.#versions.length, schema }
    this.#versions.push(version)
    const head = headAt(uuid, 0)
    this.#byHead.set(head, [...(this.#byHead.get(head) ?? []), version])
  }
}

function isAt(uuid: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < UUID_BYTES; i++) if (uuid[i] !== bytes[at + i]) return false
  return true
}

function headAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

function bytesOf(text: string): Uint8Array {
  assert(UUID_TEXT.test(text), `'${text}' is no UUID in lower case`)
  const digits = text.replaceAll('-', '')
  return Uint8Array.from({ length: UUID_BYTES }, (_, i) => parseInt(digits.slice(i * 2, i * 2 + 2), 16))
}
