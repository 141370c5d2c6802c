import { deflateSync } from 'node:zlib'

/** The bytes of a UUID, most significant first. */
export function uuidBytes(uuid: string): Uint8Array {
  return Uint8Array.from(Buffer.from(uuid.replaceAll('-', ''), 'hex'))
}

/** A value as the serializer of the AWS Glue Schema Registry writes it: a 3, the compression, the UUID, the body. */
export function glueFrame(uuid: string, body: Uint8Array, isCompressed = false): Uint8Array {
  const rest = isCompressed ? deflateSync(body) : body
  return Uint8Array.of(3, isCompressed ? 5 : 0, ...uuidBytes(uuid), ...rest)
}
