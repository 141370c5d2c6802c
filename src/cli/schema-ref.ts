import { framedSchemaId } from '../../consumers/recording/recording-summary.ts'
import { glueUuidAt, isGlueFrame } from '../columns/glue-frame.ts'
import type { SchemaRegistry } from '../ports.ts'

/** What a frame names: the id in Confluent's, or the UUID of a schema version in that of the AWS Glue Schema Registry. */
export type SchemaRef = number | string

/** Null where the value is in neither frame. */
export function schemaRefOf(value: Uint8Array | null): SchemaRef | null {
  if (value !== null && isGlueFrame(value, 0, value.length)) return glueUuidAt(value, 0)
  return framedSchemaId(value)
}

/** The writer's schema; null where the registry has none, or knows no such names. */
export async function schemaByRef(registry: SchemaRegistry, ref: SchemaRef): Promise<string | null> {
  if (typeof ref === 'number') return ref < 0 ? null : registry.schemaById(ref)
  return (await registry.schemaByUuid?.(ref)) ?? null
}

/** Ids first, then versions. */
export function compareRefs(left: SchemaRef, right: SchemaRef): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1
  return left < right ? -1 : 1
}
