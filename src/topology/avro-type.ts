import type { Decimal } from '../columns/decimal.ts'
import type { AvroKind } from './kinds.ts'

/**
 * Avro types as a program writes them beside a function: 'int', ['null', 'string'], { type: 'long', logicalType: 'timestamp-millis' }.
 * The types below tell the compiler what values they have and what kind of column they make. What they do not know compiles as
 * `unknown`, and is checked when the program starts.
 */
export type AvroTypeText = PlainType | readonly PlainType[]

type PlainType = PrimitiveName | TypeObject

type PrimitiveName = keyof PrimitiveValues

interface TypeObject {
  readonly type: unknown
  readonly [attribute: string]: unknown
}

interface PrimitiveValues {
  readonly boolean: boolean
  readonly int: number
  readonly long: bigint
  readonly float: number
  readonly double: number
  readonly string: string
  readonly bytes: Uint8Array
  readonly null: null
}

interface LogicalValues {
  readonly date: number
  readonly 'time-millis': number
  readonly 'time-micros': bigint
  readonly 'timestamp-millis': number
  readonly 'timestamp-micros': bigint
  readonly 'local-timestamp-millis': number
  readonly 'local-timestamp-micros': bigint
  readonly decimal: Decimal
  readonly uuid: string
}

/** What a function for such a column returns. */
export type ValueOfType<Type> = Type extends readonly [infer Only]
  ? PlainValue<Only>
  : Type extends readonly ['null', infer Other]
    ? PlainValue<Other> | null
    : Type extends readonly [infer Other, 'null']
      ? PlainValue<Other> | null
      : PlainValue<Type>

type PlainValue<Type> = Type extends PrimitiveName
  ? PrimitiveValues[Type]
  : Type extends { readonly logicalType: infer Logical extends keyof LogicalValues }
    ? LogicalValues[Logical]
    : Type extends { readonly type: 'enum'; readonly symbols: readonly (infer Symbol)[] }
      ? Symbol
      : Type extends { readonly type: 'array'; readonly items: infer Items }
        ? readonly ItemValue<Items>[]
        : Type extends { readonly type: 'map'; readonly values: infer Values }
          ? Readonly<Record<string, ItemValue<Values>>>
          : Type extends { readonly type: infer Name extends PrimitiveName }
            ? PrimitiveValues[Name]
            : unknown

/** One level deep: a type that recurses ends in TS2589. */
type ItemValue<Type> = Type extends PrimitiveName
  ? PrimitiveValues[Type]
  : Type extends { readonly logicalType: infer Logical extends keyof LogicalValues }
    ? LogicalValues[Logical]
    : unknown

/** The kind of such a column, with '?' behind it where it may be null. */
export type KindOfType<Type> = Type extends readonly [infer Only]
  ? PlainKind<Only>
  : Type extends readonly ['null', infer Other]
    ? `${PlainKind<Other>}?`
    : Type extends readonly [infer Other, 'null']
      ? `${PlainKind<Other>}?`
      : Type extends readonly unknown[]
        ? 'union'
        : PlainKind<Type>

type PlainKind<Type> =
  Type extends Exclude<PrimitiveName, 'null'>
    ? Type
    : Type extends { readonly logicalType: infer Logical extends keyof LogicalValues }
      ? Logical
      : Type extends { readonly type: infer Name extends AvroKind }
        ? Name
        : 'record'
