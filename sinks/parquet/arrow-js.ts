/** What is used of apache-arrow: its schemas and its reading of streams. Streams with rows are written by hand, without a copy of every value. */
export {
  Binary,
  Bool,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
  TimestampMicrosecond,
  Type,
  Utf8,
} from 'apache-arrow'
export type { Data, DataType } from 'apache-arrow'
