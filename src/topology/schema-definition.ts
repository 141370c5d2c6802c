/** An Avro schema without documentation. A default is a value, in which 'doc' may be the name of a field. */
export function schemaDefinition(avro: unknown): unknown {
  if (Array.isArray(avro)) return avro.map(schemaDefinition)
  if (typeof avro !== 'object' || avro === null) return avro
  return Object.fromEntries(
    Object.entries(avro)
      .filter(([key]) => key !== 'doc')
      .map(([key, value]) => [key, key === 'default' ? value : schemaDefinition(value)]),
  )
}
