import { recordingHead, type ShownRecord } from '../../consumers/recording/recording-head.ts'
import { directoryRegistry } from '../../consumers/registry/directory.ts'
import { printable } from './cell.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { counted } from './format.ts'
import { registryBeside } from './recording-place.ts'
import type { Terminal } from './terminal.ts'

export interface HeadOptions {
  readonly file: string
  readonly records: number
  readonly registry: string | null
}

/** `millrace recording head`: records as they are on the wire, and as their schema reads them. */
export async function recordingHeadCommand(options: HeadOptions, { out }: Terminal): Promise<ExitCode> {
  const folder = options.registry ?? registryBeside(options.file)
  const records = await recordingHead(
    options.file,
    options.records,
    folder === null ? null : directoryRegistry(folder),
  )
  for (const record of records) await out.line(`${recordText(record, (text) => out.style('bold', text))}\n`)
  return EXIT.done
}

function recordText(record: ShownRecord, bold: (text: string) => string): string {
  const { topic, partition, offset, key, valueBytes, value, problem, headers } = record
  const schema = record.schemaId ?? (record.schemaVersion === null ? null : `version ${record.schemaVersion}`)
  const size = valueBytes === null ? 'null (a tombstone)' : counted(valueBytes, 'byte')
  const shown = typeof value === 'string' ? value : JSON.stringify(value, null, 2)
  return [
    bold(`${topic}/${partition}/${offset}`),
    `  arrived    ${new Date(record.arrivalMs).toISOString()}`,
    `  timestamp  ${new Date(record.timestampMs).toISOString()}`,
    `  key        ${key === null ? 'null' : printable(key)}`,
    ...headers.map((header) => `  header     ${printable(header.key)}: ${printable(header.value ?? 'null')}`),
    `  value      ${size}${schema === null ? '' : `, schema ${schema}`}${problem === null ? '' : ` (${problem})`}`,
    ...(valueBytes === null ? [] : [indented(shown)]),
  ].join('\n')
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${printable(line)}`)
    .join('\n')
}
