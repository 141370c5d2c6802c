/**
 * What a column holds. These types are the meeting point of Avro (which decodes into them) and of the
 * tables (Parquet and Delta, which are written from them); neither knows of the other.
 */
export type ColumnType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'int32' }
  | { readonly kind: 'int64' }
  | { readonly kind: 'float32' }
  | { readonly kind: 'float64' }
  | { readonly kind: 'string' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'fixed'; readonly size: number }
  /** Values are indices into `symbols`; a table shows them as strings. */
  | { readonly kind: 'enum'; readonly symbols: readonly string[] }
  /** Days since 1970-01-01. */
  | { readonly kind: 'date' }
  /** Since midnight. Millis are int32, micros int64; a Delta table shows both as long. */
  | { readonly kind: 'time'; readonly unit: 'millis' | 'micros' }
  /** Since 1970-01-01T00:00:00, UTC unless `local`. int64 in both units; a table has micros. */
  | { readonly kind: 'timestamp'; readonly unit: 'millis' | 'micros'; readonly local: boolean }
  /** 128-bit two's complement, little-endian; `precision` <= 38. */
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'list'; readonly element: Field }
  /** Keys are strings and never null. */
  | { readonly kind: 'map'; readonly value: Field }
  /** `union`: stands for a union of several types. Its fields are the branches, of which one is present. */
  | { readonly kind: 'struct'; readonly fields: readonly Field[]; readonly union?: true }

export interface Field {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
}

export type ColumnKind = ColumnType['kind']
