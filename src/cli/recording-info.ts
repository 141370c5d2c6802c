import { type RecordingInfo, recordingInfo } from '../../consumers/recording/recording-info.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { byteText, counted, countText, timeText } from './format.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

/** `millrace recording info`. Exits with 1 where the recording is damaged or cut, after it has shown what can be read. */
export async function recordingInfoCommand(
  file: string,
  format: 'table' | 'json',
  terminal: Terminal,
): Promise<ExitCode> {
  const info = await recordingInfo(file)
  if (format === 'json') await terminal.out.line(JSON.stringify(info, null, 2))
  else await printInfo(info, terminal)
  return info.problem === null ? EXIT.done : EXIT.failed
}

async function printInfo(info: RecordingInfo, { out, err }: Terminal): Promise<void> {
  const schemas = info.schemaIds.length === 0 ? 'none' : info.schemaIds.join(', ')
  await out.line(
    `${info.path}: ${counted(info.records, 'record')}, ${byteText(info.bytes)}, codec ${info.codec}`,
  )
  await out.line(`schema ids in the frames: ${schemas}`)
  if (info.schemaVersions.length > 0) {
    await out.line(`schema versions of AWS Glue in the frames: ${info.schemaVersions.join(', ')}`)
  }
  await out.line('')
  const columns = ['topic', 'partition', 'records', 'offsets', 'first arrival', 'last arrival'].map(
    (name) => ({
      name,
      numeric: name === 'partition' || name === 'records',
    }),
  )
  const rows = info.partitions.map((partition) => [
    partition.topic,
    String(partition.partition),
    countText(partition.records),
    `${partition.firstOffset} – ${partition.nextOffset - 1}`,
    timeText(partition.firstArrivalMs),
    timeText(partition.lastArrivalMs),
  ])
  await out.write(textTable(columns, rows, out))
  if (info.problem === null) return
  await err.line(`\n${err.style('red', 'damaged:')} ${info.problem.message}`)
  if (info.problem.advice !== undefined) await err.line(`${err.style('cyan', '→')} ${info.problem.advice}`)
}
