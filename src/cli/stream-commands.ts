import { type Command, command, type Options, type Run, textOf } from './command.ts'
import type { ExitCode } from './failure.ts'
import { KAFKA_HELP } from './kafka-place.ts'
import { parseChoice, parseCount, parseSpan, parseTime } from './option-values.ts'
import { REGISTRY_HELP } from './registry-place.ts'
import { parseRate } from './send-pace.ts'
import type { Terminal } from './terminal.ts'

const BROKERS_HELP = 'host:port of one or more (default: MILLRACE_KAFKA_BROKERS)'

/** `millrace produce` and `millrace record`: between recordings and topics. */
export function describeStreams(program: Command, terminal: Terminal, run: Run): void {
  command(
    program,
    'produce',
    'publish a recording to a topic, byte for byte',
    `Keys, values, headers, timestamps and partitions are those of the recording. With --registry the schemas of the recording are
registered there, and only the four bytes of the schema id change, where the registry gives another one. Each record is stored once.

${KAFKA_HELP}

${REGISTRY_HELP}

Example:
  millrace produce --recording trips.avro --topic trips --brokers localhost:9092 --registry http://localhost:8081
  millrace produce --recording trips.avro --topic trips --create-topic
  millrace produce --recording trips.avro --topic trips --rate 1x --timestamps now --loop`,
  )
    .requiredOption('--recording <file>', 'the recorded stream')
    .requiredOption('--topic <name>', 'the topic to write to')
    .option('--create-topic', 'make the topic where it is missing, with the partitions of the recording')
    .option('--brokers <list>', BROKERS_HELP)
    .option('--registry <url>', "the topic's schema registry (default: schema ids stay as they are)")
    .option(
      '--schemas <dir>',
      "the recording's schemas, named <id>-….avsc (default: the folder registry beside it)",
    )
    .option('--subject-per-schema', 'register each as <topic>-value-<id>, so that they need not go together')
    .option('--source-topic <name>', 'the topic in the recording, where it has several')
    .option('--rate <rate>', 'max, records a second (1000), or as it was recorded (1x, 60x)', 'max')
    .option('--partitions <how>', 'keep: as recorded; hash: by the key', 'keep')
    .option('--timestamps <which>', 'keep: as recorded; now: the time of sending', 'keep')
    .option('--loop', 'begin again at the end, until Ctrl-C')
    .action((options: Options) => run(produceCommand(options, terminal)))

  command(
    program,
    'record',
    'capture a topic into a recording, byte for byte',
    `Reads without joining a group, and commits nothing. Ctrl-C ends it with a whole file, and so do --max-records, --for and --until-end.

${KAFKA_HELP}

${REGISTRY_HELP}

Example:
  millrace record --topic trips --out trips.avro --brokers localhost:9092 --registry http://localhost:8081 --until-end
  millrace record --topic trips --out live.avro --from latest --for 10m`,
  )
    .requiredOption('--topic <name>', 'the topic to read')
    .requiredOption('--out <file>', 'the recording')
    .option('--brokers <list>', BROKERS_HELP)
    .option('--registry <url>', 'write the schemas of its records into the folder registry beside the file')
    .option('--from <where>', 'earliest, latest, or a time, ISO 8601', 'earliest')
    .option('--max-records <n>', 'stop after so many')
    .option('--for <duration>', 'stop after so long: 30s, 10m, 2h')
    .option('--until-end', 'stop where the topic ends now')
    .option('--overwrite', 'replace the file where it is there already')
    .action((options: Options) => run(recordCommand(options, terminal)))
}

async function produceCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const parsed = {
    recording: textOf(options, 'recording')!,
    topic: textOf(options, 'topic')!,
    createTopic: options['createTopic'] === true,
    brokers: textOf(options, 'brokers'),
    registry: textOf(options, 'registry'),
    schemas: textOf(options, 'schemas'),
    subjectPerSchema: options['subjectPerSchema'] === true,
    sourceTopic: textOf(options, 'sourceTopic'),
    rate: parseRate(textOf(options, 'rate')!),
    partitions: parseChoice('--partitions', textOf(options, 'partitions')!, ['keep', 'hash']),
    timestamps: parseChoice('--timestamps', textOf(options, 'timestamps')!, ['keep', 'now']),
    loop: options['loop'] === true,
  }
  const { produce } = await import('./produce.ts')
  return produce(parsed, terminal)
}

async function recordCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const from = textOf(options, 'from')!
  const maxRecords = textOf(options, 'maxRecords')
  const duration = textOf(options, 'for')
  const parsed = {
    topic: textOf(options, 'topic')!,
    out: textOf(options, 'out')!,
    brokers: textOf(options, 'brokers'),
    registry: textOf(options, 'registry'),
    from: from === 'earliest' || from === 'latest' ? from : new Date(parseTime('--from', from)),
    maxRecords: maxRecords === null ? null : parseCount('--max-records', maxRecords),
    forMs: duration === null ? null : parseSpan('--for', duration),
    untilEnd: options['untilEnd'] === true,
    overwrite: options['overwrite'] === true,
  } as const
  const { record } = await import('./record.ts')
  return record(parsed, terminal)
}
