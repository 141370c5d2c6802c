/**
 * What the compiler knows of a schema. `Kinds` maps each field of a record to the text of its Avro type, with '?'
 * behind it where the field may be null, and a record that is never null to a map of its own:
 *
 *     interface TripKinds { tripId: 'string'; promo: 'string?'; pickup: { lat: 'double'; lon: 'double' } }
 *
 * The types below pick field names by kind. They are mapped types and go three records deep, spelled out: a type
 * that recurses over a schema ends in TS2589 ("excessively deep") for wide ones. Where `Kinds` is unknown
 * (a schema read at run time) every name compiles, and the checks at run time remain.
 */
export type AvroKind =
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'string'
  | 'bytes'
  | 'fixed'
  | 'enum'
  | 'date'
  | 'time-millis'
  | 'time-micros'
  | 'timestamp-millis'
  | 'timestamp-micros'
  | 'local-timestamp-millis'
  | 'local-timestamp-micros'
  | 'decimal'
  | 'uuid'
  | 'array'
  | 'map'
  | 'union'
  | 'record'

export type OrNull<Kind extends string> = Kind | `${Kind}?`

export type AnyKind = OrNull<AvroKind>
/** Instants. A local timestamp is none: it does not say when. */
export type InstantKind = OrNull<'timestamp-millis' | 'timestamp-micros'>
export type TimestampKind = InstantKind | OrNull<'local-timestamp-millis' | 'local-timestamp-micros'>
export type NumericKind = OrNull<'int' | 'long' | 'float' | 'double' | 'decimal'>
export type OrderedKind =
  | NumericKind
  | TimestampKind
  | OrNull<'date' | 'time-millis' | 'time-micros' | 'string' | 'bytes'>
/** One value. */
export type ScalarKind = OrNull<Exclude<AvroKind, 'array' | 'map' | 'union' | 'record'>>
/** What can be a key: float and double cannot, because NaN and -0 have no one answer to "is it the same?". */
export type GroupableKind =
  | TimestampKind
  | OrNull<'string' | 'int' | 'long' | 'boolean' | 'enum' | 'date' | 'uuid'>
/** What a folder can be named by. */
export type PartitionKind = OrNull<'string' | 'int' | 'long' | 'boolean' | 'enum' | 'date' | 'uuid'>
/** Values that can repeat. Booleans gain nothing by a dictionary. */
export type DictionaryKind = OrderedKind | OrNull<'uuid' | 'enum'>

/** Names of top-level fields of some kinds. */
export type FieldOf<Kinds, Kind> = unknown extends Kinds
  ? string
  : { [F in keyof Kinds & string]: Kinds[F] extends Kind ? F : never }[keyof Kinds & string]

/** Paths of fields of some kinds: 'fare', 'pickup.lat'. Only records that are never null are entered. */
export type PathOf<Kinds, Kind> = unknown extends Kinds
  ? string
  : {
      [F in keyof Kinds & string]: Kinds[F] extends string
        ? Kinds[F] extends Kind
          ? F
          : never
        : `${F}.${PathBelow<Kinds[F], Kind>}`
    }[keyof Kinds & string]

type PathBelow<Kinds, Kind> = {
  [F in keyof Kinds & string]: Kinds[F] extends string
    ? Kinds[F] extends Kind
      ? F
      : never
    : `${F}.${LeafOf<Kinds[F], Kind>}`
}[keyof Kinds & string]

type LeafOf<Kinds, Kind> = {
  [F in keyof Kinds & string]: Kinds[F] extends Kind ? F : never
}[keyof Kinds & string]

/** What a path leads to, in a map of kinds or in a row. */
export type At<Root, Path> = Path extends keyof Root
  ? Root[Path]
  : Path extends `${infer Head}.${infer Rest}`
    ? Head extends keyof Root
      ? AtBelow<Root[Head], Rest>
      : unknown
    : unknown

type AtBelow<Root, Path> = Path extends keyof Root
  ? Root[Path]
  : Path extends `${infer Head}.${infer Leaf}`
    ? Head extends keyof Root
      ? Leaf extends keyof Root[Head]
        ? Root[Head][Leaf]
        : unknown
      : unknown
    : unknown

/** The column of a key: 'pickup.zone' becomes 'pickup_zone', because a dot in a column name breaks SQL. */
export type ColumnName<Path extends string> = Path extends `${infer A}.${infer B}.${infer C}`
  ? `${A}_${B}_${C}`
  : Path extends `${infer A}.${infer B}`
    ? `${A}_${B}`
    : Path

/** What `sum` makes of a kind. */
export type SumKind<Kind> =
  Kind extends OrNull<'int' | 'long'> ? 'long' : Kind extends OrNull<'decimal'> ? 'decimal' : 'double'
