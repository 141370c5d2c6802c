import { describe, expect, it } from 'vitest'
import { deltaFormat } from '../../sinks/delta/delta-format.ts'
import { parquetEncoder } from '../../sinks/parquet/parquet-encoder.ts'
import { readParquetFiles, withoutEmptyPartitions } from './parquet-rows.ts'
import { describeFailure, runSeed } from './run-seed.ts'

/** A few seeds with what production writes: Parquet files, and log checkpoints every three commits. */
describe('seeds with real Parquet', () => {
  const encoder = parquetEncoder()

  for (let from = 1; from <= 50; from += 10) {
    it(`seeds ${from} to ${from + 9} give what the oracle says`, { timeout: 120_000 }, async () => {
      for (let seed = from; seed < from + 10; seed++) {
        const outcome = await runSeed(seed, {
          format: (store) => deltaFormat(store, encoder, { checkpointEvery: 3 }),
          readFiles: readParquetFiles,
          adaptOracle: withoutEmptyPartitions,
        })
        if (outcome.failures.length > 0) expect.fail(describeFailure(outcome))
      }
    })
  }
})
