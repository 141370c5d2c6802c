/**
 * Computes with DuckDB what the queries come to, from the events of events.avro: expected/q1.sql to expected/q12.sql. Nothing of Millrace takes part.
 * `npx node examples/nexmark/expected.ts` writes the .jsonl files beside them.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import avsc from 'avsc'

export const QUERIES = ['q1', 'q2', 'q3', 'q5', 'q7', 'q8', 'q11', 'q12'] as const
export type Query = (typeof QUERIES)[number]

const here = (path: string): string => new URL(path, import.meta.url).pathname
/** Behind the schema id. */
const CONFLUENT_HEADER_BYTES = 5

/** The views that the queries ask. */
const VIEWS = `
  create view person as select time, unnest(person) from event where person is not null;
  create view auction as select time, unnest(auction) from event where auction is not null;
  create view bid as select time, unnest(bid) from event where bid is not null;
`

/** Rows as JSON lines, by query. Times are ISO 8601, as in a replay of `millrace/testing`. */
export async function expectedRows(recording: string): Promise<ReadonlyMap<Query, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'nexmark-expected-'))
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    const events = join(folder, 'events.jsonl')
    writeFileSync(events, (await decodedEvents(recording)).join('\n'))
    await connection.run(`create table event as select make_timestamp("at" * 1000) as time, person, auction, bid from read_json('${events}', format = 'newline_delimited', columns = {
      "at": 'bigint',
      person: 'struct(id bigint, name varchar, city varchar, state varchar)',
      auction: 'struct(id bigint, seller bigint, category bigint)',
      bid: 'struct(auction bigint, bidder bigint, price bigint)'
    })`)
    await connection.run(VIEWS)
    const rows = new Map<Query, string>()
    for (const query of QUERIES) {
      const out = join(folder, `${query}.jsonl`)
      const sql = readFileSync(here(`expected/${query}.sql`), 'utf8')
      await connection.run(`copy (${sql}) to '${out}' (format json, timestampformat '%Y-%m-%dT%H:%M:%S.%gZ')`)
      rows.set(query, readFileSync(out, 'utf8'))
    }
    return rows
  } finally {
    connection.closeSync()
    instance.closeSync()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Every event of a recording, as JSON. */
async function decodedEvents(recording: string): Promise<string[]> {
  const type = avsc.Type.forSchema(JSON.parse(readFileSync(here('registry/1-event.avsc'), 'utf8')))
  const lines: string[] = []
  await new Promise<void>((resolve, reject) => {
    avsc
      .createFileDecoder(recording)
      .on('data', ({ value }: { readonly value: Buffer }) => {
        lines.push(JSON.stringify(type.decode(value, CONFLUENT_HEADER_BYTES).value))
      })
      .on('end', () => resolve())
      .on('error', reject)
  })
  return lines
}

/** The rows of before, as they are in the folder. Query 1 has a row for each bid: compressed. */
export function writtenRows(query: Query): string {
  const file = readFileSync(pathOf(query))
  return (query === 'q1' ? gunzipSync(file) : file).toString('utf8')
}

function pathOf(query: Query): string {
  return here(`expected/${query}.jsonl${query === 'q1' ? '.gz' : ''}`)
}

if (import.meta.main) {
  for (const [query, rows] of await expectedRows(here('events.avro'))) {
    writeFileSync(pathOf(query), query === 'q1' ? gzipSync(rows) : rows)
    console.log(`${rows.split('\n').length - 1} rows in ${pathOf(query)}`)
  }
}
