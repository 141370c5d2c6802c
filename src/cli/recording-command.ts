import { type Command, command, formatOf, type Options, type Run, textOf } from './command.ts'
import { parseCount } from './option-values.ts'
import type { Terminal } from './terminal.ts'

export function describeRecordings(program: Command, terminal: Terminal, run: Run): void {
  const recording = program.command('recording').description('make and look at recorded streams')
  command(
    recording,
    'make <out>',
    'turn JSON lines into a recording, as a broker would have held them',
    `Each line is one event. Its bytes are Avro with the Confluent frame, so a replay decodes them like the real stream.

Example:
  millrace recording make trips.avro --jsonl trips.jsonl --schema registry/1-trip.avsc --topic trips --arrival arrivedAt`,
  )
    .requiredOption('--jsonl <file>', 'the events, one JSON object a line; may be gzipped')
    .requiredOption('--schema <file>', "the writer's schema, named <id>-….avsc")
    .requiredOption('--topic <name>', 'the name of the topic')
    .option('--id <n>', 'the schema id (default: the number at the start of the file name)')
    .option('--arrival <field>', 'the field with the time of arrival, in milliseconds or ISO 8601')
    .option('--timestamp <field>', "the field with the record's own timestamp (default: the time of arrival)")
    .option('--key <field>', 'the field that becomes the key')
    .option(
      '--partition-by <field>',
      'the field that chooses the partition, as Kafka does it (default: the key)',
    )
    .option('--partitions <n>', 'how many partitions the topic has', '1')
    .action((out: string, options: Options) =>
      run(
        import('./recording-make.ts').then(({ recordingMake }) =>
          recordingMake(makeOptions(out, options), terminal),
        ),
      ),
    )
  command(recording, 'info <file>', 'partitions, offsets, times and schemas of a recording')
    .option('--format <format>', 'table or json', 'table')
    .action((file: string, options: Options) =>
      run(
        import('./recording-info.ts').then(({ recordingInfoCommand }) =>
          recordingInfoCommand(file, formatOf(options, ['table', 'json']), terminal),
        ),
      ),
    )
  command(recording, 'head <file>', 'the first records of a recording, decoded where their schema is known')
    .option('-n, --records <n>', 'how many', '5')
    .option('--registry <dir>', 'writer schemas (default: the folder registry beside the recording)')
    .action((file: string, options: Options) =>
      run(
        import('./recording-head.ts').then(({ recordingHeadCommand }) =>
          recordingHeadCommand(
            {
              file,
              records: parseCount('--records', textOf(options, 'records')!),
              registry: textOf(options, 'registry'),
            },
            terminal,
          ),
        ),
      ),
    )
}

function makeOptions(out: string, options: Options) {
  const id = textOf(options, 'id')
  return {
    out,
    jsonl: textOf(options, 'jsonl')!,
    schema: textOf(options, 'schema')!,
    topic: textOf(options, 'topic')!,
    schemaId: id === null ? null : parseCount('--id', id),
    arrivalField: textOf(options, 'arrival'),
    timestampField: textOf(options, 'timestamp'),
    keyField: textOf(options, 'key'),
    partitionField: textOf(options, 'partitionBy'),
    partitions: parseCount('--partitions', textOf(options, 'partitions')!),
  }
}
