import { type Command, command, type Options, type Run, textOf } from './command.ts'
import { type ExitCode, usageError } from './failure.ts'
import { ENDPOINT_HELP, KINESIS_HELP, namedKinesis, REGION_HELP, streamName } from './kinesis-place.ts'
import { parseCount, parseTime } from './option-values.ts'
import { GLUE_HELP, GLUE_REGISTRY_HELP, glueOf } from './registry-place.ts'
import type { Terminal } from './terminal.ts'

const DETAILS = `With --recording also: can every schema in it be read with the program's? With --topic and the URL of a registry: can every
version that the topic's subject has? With --stream: can those that the stream's records name, the first --count of each shard?

${KINESIS_HELP}

Example:
  millrace check taxi.ts --recording trips.avro
  millrace check taxi.ts --topic trips --registry http://localhost:8081
  millrace check taxi.ts --stream trips --region eu-west-1 --glue`

export function describeCheck(program: Command, terminal: Terminal, run: Run): void {
  command(
    program,
    'check <program>',
    'check a program, its options and its schemas, without running it',
    DETAILS,
  )
    .option('--recording <file>', 'a recording whose schemas the program has to read')
    .option('--topic <name>', 'a topic whose schemas it has to read: those of the subject <topic>-value')
    .option('--subject <name>', 'the same by the name of the subject')
    .option('--stream <name>', 'a Kinesis stream whose records it has to read')
    .option('--region <name>', REGION_HELP)
    .option('--endpoint <url>', ENDPOINT_HELP)
    .option('--from <where>', 'of the stream: earliest, latest, or a time, ISO 8601', 'earliest')
    .option('--count <n>', 'of each shard of the stream, so many records', '1000')
    .option(
      '--registry <place>',
      'URL of a schema registry, or a folder (default: the folder registry beside the recording)',
    )
    .option('--glue', GLUE_HELP)
    .option('--glue-registry <place>', GLUE_REGISTRY_HELP)
    .action((path: string, options: Options) => run(checkCommand(path, options, terminal)))
}

const STREAM_OPTIONS = ['region', 'endpoint', 'glue', 'glueRegistry']

async function checkCommand(path: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const topic = textOf(options, 'topic')
  const stream = textOf(options, 'stream')
  const stranger = stream === null ? STREAM_OPTIONS.find((name) => options[name] !== undefined) : undefined
  if (stranger !== undefined) {
    const flag = stranger === 'glueRegistry' ? 'glue-registry' : stranger
    throw usageError(`--${flag} is given without --stream`, 'Name the stream: --stream trips.')
  }
  const from = textOf(options, 'from')!
  const parsed = {
    path,
    recording: textOf(options, 'recording'),
    registry: textOf(options, 'registry'),
    subject: textOf(options, 'subject') ?? (topic === null ? null : `${topic}-value`),
    stream:
      stream === null
        ? null
        : ({
            kind: 'stream',
            stream: streamName(stream),
            ...namedKinesis(options),
            from: from === 'earliest' || from === 'latest' ? from : new Date(parseTime('--from', from)),
            countMax: parseCount('--count', textOf(options, 'count')!),
            glue: glueOf(options),
          } as const),
  }
  const { check } = await import('./check.ts')
  return check(parsed, terminal)
}
