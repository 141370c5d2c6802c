import { frameEncoder } from '../../consumers/recording/make-recording.ts'
import type { Cells, OraclePartition } from '../../src/testing/oracle/oracle.ts'
import type { CaseRow, PlacedRecord } from './case.ts'
import { plainRow } from './expected-rows.ts'
import { EVENT } from './program.ts'

const SCHEMA_ID = 1
const SCHEMA_JSON = JSON.stringify(EVENT)
export const SCHEMAS: ReadonlyMap<number, string> = new Map([[SCHEMA_ID, SCHEMA_JSON]])

export interface CasePartition extends OraclePartition {
  readonly id: string
}

/** The records of a case by partition, for the oracle and for the engine. */
export function partitionsOf(name: string, records: readonly PlacedRecord[]): readonly CasePartition[] {
  const encoder = frameEncoder(SCHEMA_JSON, name, SCHEMA_ID)
  const partitions = [...new Set(records.map(({ partition }) => partition))].sort((a, b) => a - b)
  return partitions.map((partition) => ({
    id: `${name}-${partition}`,
    topic: name,
    partition,
    records: records
      .filter((record) => record.partition === partition)
      .map(({ offset, arrivalMs, row }) => ({
        offset,
        timestampMs: arrivalMs,
        arrivalMs,
        key: null,
        value: encoder.encode(row),
        headers: null,
        schemaId: SCHEMA_ID,
        decoded: {
          kind: 'row',
          row: { ...row, value: longOf(row['value']), gap: longOf(row['gap']) },
        },
      })),
  }))
}

function longOf(value: unknown): bigint | null {
  return value === null ? null : BigInt(value as number)
}

/** Rows of cells with instants in milliseconds. */
export function plainRows(rows: readonly Cells[]): readonly CaseRow[] {
  const millis = (micros: unknown): number | null => (micros === null ? null : Number(micros) / 1000)
  return rows.map((row) =>
    plainRow({ ...row, window_start: millis(row['window_start']), window_end: millis(row['window_end']) }),
  )
}
