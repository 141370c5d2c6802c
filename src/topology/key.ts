import type { AvroTypeText, KindOfType, ValueOfType } from './avro-type.ts'
import type { At, ColumnName, GroupableKind, PathOf } from './kinds.ts'
import type { ComputedKeySpec, KeySpec } from './node.ts'

/** A key that is computed from the row. `Kind` is seen by the compiler only. */
export interface ComputedKey<Row, Name extends string = string, Kind = unknown, Value = unknown> {
  readonly name: Name
  readonly type: unknown
  readonly of: (row: Row) => Value
  readonly kind?: Kind
}

/**
 * A key that is computed from each row: its column, its Avro type, and the function, as in
 * `.keyBy('zone', computed('hour_of_day', 'int', (row) => new Date(row.pickupAt).getUTCHours()))`. The function must depend on the row alone. Rows for which
 * it throws are dead letters 'processing', those whose value does not fit the type 'invalid'.
 */
export function computed<Row, const Name extends string, const Type extends AvroTypeText>(
  name: Name,
  type: Type,
  of: (row: Row) => NoInfer<ValueOfType<Type>>,
): ComputedKey<Row, Name, KindOfType<Type>, ValueOfType<Type>> {
  return { name, type, of }
}

/** What `keyBy` takes: paths of fields, and computed keys. */
export type KeyOf<Row, Kinds> =
  | PathOf<Kinds, GroupableKind>
  | ComputedKey<Row, string, unknown extends Kinds ? unknown : GroupableKind>

/** The key columns of a result as kinds. */
export type KeyKinds<Kinds, Key> = {
  readonly [P in Extract<Key, string> as ColumnName<P>]: At<Kinds, P>
} & {
  readonly [K in Extract<Key, ComputedKey<never>> as K['name']]: K extends {
    readonly kind?: infer Kind
  }
    ? NonNullable<Kind>
    : never
}

/** The key columns of a result as values. */
export type KeyRow<Row, Key> = {
  readonly [P in Extract<Key, string> as ColumnName<P>]: At<Row, P>
} & {
  readonly [K in Extract<Key, ComputedKey<never>> as K['name']]: ReturnType<K['of']>
}

/** Copies, without whatever else the objects of a caller in plain JavaScript may have. */
export function keySpecs(keys: readonly unknown[]): readonly KeySpec[] {
  return keys.map((key): KeySpec => {
    if (typeof key !== 'object' || key === null) return key as string
    const { name, type, of } = key as ComputedKeySpec
    return { name, type, of }
  })
}

/** The column of a key. 'pickup.zone' is the column 'pickup_zone', because a dot in a column name breaks SQL. */
export function keyColumnName(key: KeySpec): string {
  return typeof key === 'string' ? key.replaceAll('.', '_') : key.name
}
