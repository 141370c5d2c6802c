/**
 * A schema as the program holds it: the Avro JSON, and two types that only the compiler sees. `Row` is what a
 * callback gets, `Kinds` names the Avro type of each field, so that `eventTime` takes only timestamps, `sum` only
 * numbers, and keys only what can be grouped. `millrace schema types` writes both beside each .avsc file.
 */
export interface AvroSchema<Row = unknown, Kinds = unknown> {
  /** The schema as parsed JSON. */
  readonly avro: unknown
  /** Phantoms: never present at run time. */
  readonly row?: Row
  readonly kinds?: Kinds
}

/** Wraps Avro JSON; generated files call it with their two types. */
export function avroSchema<Row, Kinds>(avro: unknown): AvroSchema<Row, Kinds> {
  return { avro }
}
