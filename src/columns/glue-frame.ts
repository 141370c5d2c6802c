/**
 * The frame of the AWS Glue Schema Registry, as its serializers write it: the version of the header (3), the compression of the body (0 none, 5 zlib), the UUID of the
 * schema version with the most significant byte first, the body. Format: awslabs/aws-glue-schema-registry, `AWSSchemaRegistryConstants` and
 * `GlueSchemaRegistryDeserializerDataParser`.
 */
export const GLUE_FRAME_BYTES = 18

/** A value that begins with it is in this frame, or in none. Confluent's begins with 0. */
export const GLUE_FIRST_BYTE = 3

const COMPRESSION_AT = 1
const NOT_COMPRESSED = 0
const ZLIB = 5
const UUID_BYTES = 16

/** Where the UUID begins in the frame. */
export const GLUE_UUID_AT = 2

/** True where `bytes[start .. end)` is such a frame, with a compression that is known. */
export function isGlueFrame(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < GLUE_FRAME_BYTES || bytes[start] !== GLUE_FIRST_BYTE) return false
  const compression = bytes[start + COMPRESSION_AT]
  return compression === NOT_COMPRESSED || compression === ZLIB
}

/** Of a frame that begins at `start`: whether zlib's format wraps its body. */
export function isGlueBodyCompressed(bytes: Uint8Array, start: number): boolean {
  return bytes[start + COMPRESSION_AT] === ZLIB
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** The schema version that a frame names: lower case, with hyphens. */
export function glueUuidAt(bytes: Uint8Array, start: number): string {
  let text = ''
  for (let i = 0; i < UUID_BYTES; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += HEX[bytes[start + GLUE_UUID_AT + i]!]!
  }
  return text
}

/** Why a value that begins with GLUE_FIRST_BYTE is not such a frame; null where it is one. */
export function glueFrameProblem(bytes: Uint8Array, start: number, end: number): string | null {
  if (isGlueFrame(bytes, start, end)) return null
  if (end - start < GLUE_FRAME_BYTES) {
    return `the value has ${end - start} bytes, less than the frame of the AWS Glue Schema Registry that its first byte says`
  }
  return `the compression in the frame of the AWS Glue Schema Registry is ${bytes[start + COMPRESSION_AT]}, neither 0 (none) nor 5 (zlib)`
}
