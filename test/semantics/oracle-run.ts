import { computeOracle, type OracleResult } from '../../src/testing/oracle/oracle.ts'
import type { PipelineSpec } from '../../src/topology/node.ts'
import type { CaseRow, PlacedRecord } from './case.ts'
import { plainRow } from './expected-rows.ts'

/** What the oracle says of a case. */
export function oracleOf(spec: PipelineSpec, records: readonly PlacedRecord[]): OracleResult {
  const partitions = [...new Set(records.map(({ partition }) => partition))].sort((a, b) => a - b)
  return computeOracle(
    spec,
    partitions.map((partition) => ({
      topic: spec.source.name,
      partition,
      records: records
        .filter((record) => record.partition === partition)
        .map(({ offset, arrivalMs, row }) => ({
          offset,
          timestampMs: arrivalMs,
          arrivalMs,
          key: null,
          value: new Uint8Array(1),
          headers: null,
          schemaId: 1,
          decoded: { kind: 'row', row: { ...row, value: longOf(row['value']), gap: longOf(row['gap']) } },
        })),
    })),
  )
}

function longOf(value: unknown): bigint | null {
  return value === null ? null : BigInt(value as number)
}

/** The oracle's rows with instants in milliseconds. */
export function oracleRows(oracle: OracleResult, table: string): readonly CaseRow[] {
  const millis = (micros: unknown): number | null => (micros === null ? null : Number(micros) / 1000)
  return oracle.tables
    .get(table)!
    .map((row) =>
      plainRow({ ...row, window_start: millis(row['window_start']), window_end: millis(row['window_end']) }),
    )
}
