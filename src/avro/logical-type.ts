/** What a logical type says about the primitive or fixed type below it. */
export type LogicalType =
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | {
      readonly kind:
        | 'uuid'
        | 'date'
        | 'time-millis'
        | 'time-micros'
        | 'timestamp-millis'
        | 'timestamp-micros'
        | 'local-timestamp-millis'
        | 'local-timestamp-micros'
        | 'duration'
    }

type PlainKind = Exclude<LogicalType['kind'], 'decimal'>

const UNDERLYING: Readonly<Record<PlainKind, readonly string[]>> = {
  uuid: ['string', 'fixed'],
  date: ['int'],
  'time-millis': ['int'],
  'time-micros': ['long'],
  'timestamp-millis': ['long'],
  'timestamp-micros': ['long'],
  'local-timestamp-millis': ['long'],
  'local-timestamp-micros': ['long'],
  duration: ['fixed'],
}

/**
 * The logical type of a schema, or null where it has none that is known and valid: the Avro specification says that
 * the underlying type is used then. `size` is that of a fixed.
 */
export function logicalTypeOf(
  attributes: Readonly<Record<string, unknown>>,
  underlying: string,
  size: number,
): LogicalType | null {
  const name = attributes['logicalType']
  if (name === 'decimal') return decimalOf(attributes, underlying, size)
  if (typeof name !== 'string' || !Object.hasOwn(UNDERLYING, name)) return null
  const kind = name as PlainKind
  if (!UNDERLYING[kind].includes(underlying)) return null
  if (underlying === 'fixed' && size !== (kind === 'uuid' ? 16 : 12)) return null
  return { kind }
}

function decimalOf(
  attributes: Readonly<Record<string, unknown>>,
  underlying: string,
  size: number,
): LogicalType | null {
  if (underlying !== 'bytes' && underlying !== 'fixed') return null
  const precision = attributes['precision']
  const scale = attributes['scale'] ?? 0
  if (typeof precision !== 'number' || !Number.isInteger(precision) || precision < 1) return null
  if (typeof scale !== 'number' || !Number.isInteger(scale) || scale < 0 || scale > precision) return null
  // The specification's bound: the digits that a two's complement number of so many bytes always holds.
  if (underlying === 'fixed' && precision > Math.floor(Math.log10(2) * (8 * size - 1))) return null
  return { kind: 'decimal', precision, scale }
}

/** True where both may stand for the same values: one of them is silent, or both say the same. */
export function logicalTypesAgree(writer: LogicalType | null, reader: LogicalType | null): boolean {
  if (writer === null || reader === null) return true
  if (writer.kind === 'decimal' || reader.kind === 'decimal') {
    // Another precision is no harm: each value is checked against the reader's.
    return writer.kind === 'decimal' && reader.kind === 'decimal' && writer.scale === reader.scale
  }
  return writer.kind === reader.kind
}
