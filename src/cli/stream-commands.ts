import { type Command, command, type Options, type Run, textOf } from './command.ts'
import { type ExitCode, usageError } from './failure.ts'
import { KAFKA_HELP } from './kafka-place.ts'
import { ENDPOINT_HELP, KINESIS_HELP, REGION_HELP, topicOrStream } from './kinesis-place.ts'
import { parseChoice, parseCount, parseSpan, parseTime } from './option-values.ts'
import { GLUE_HELP, GLUE_REGISTRY_HELP, glueOf, REGISTRY_HELP } from './registry-place.ts'
import { parseRate } from './send-pace.ts'
import type { Terminal } from './terminal.ts'

const BROKERS_HELP = 'host:port of one or more (default: MILLRACE_KAFKA_BROKERS)'

/** Options that are for topics only, and for streams only. */
const PRODUCE_OWN = {
  topic: ['brokers', 'createTopic', 'timestamps'],
  stream: ['region', 'endpoint', 'createStream', 'shards', 'aggregate'],
}
const RECORD_OWN = { topic: ['brokers'], stream: ['region', 'endpoint'] }

/** `millrace produce` and `millrace record`: between recordings and topics, or streams. */
export function describeStreams(program: Command, terminal: Terminal, run: Run): void {
  command(
    program,
    'produce',
    'publish a recording to a Kafka topic or a Kinesis stream, byte for byte',
    `Keys, values, headers, timestamps and partitions are those of the recording. With --registry the schemas of the recording are
registered there, and only the four bytes of the schema id change, where the registry gives another one. In a topic each record is stored once.

In a stream each record is stored at least once: where an answer is lost, it is put again. A key's records keep their order; with
--aggregate all of a shard do, and readers take them apart, as the KCL and Millrace do. The partition key is the record's key (in base64 where that is no text; one of its own where it has none). Timestamps are those of arrival, and there are no headers.

${KAFKA_HELP}

${KINESIS_HELP}

${REGISTRY_HELP}

Example:
  millrace produce --recording trips.avro --topic trips --brokers localhost:9092 --registry http://localhost:8081
  millrace produce --recording trips.avro --topic trips --create-topic
  millrace produce --recording trips.avro --topic trips --rate 1x --timestamps now --loop
  millrace produce --recording trips.avro --stream trips --region eu-west-1 --create-stream --shards 4
  millrace produce --recording trips.avro --stream trips --aggregate`,
  )
    .requiredOption('--recording <file>', 'the recorded stream')
    .option('--topic <name>', 'the Kafka topic to write to')
    .option('--create-topic', 'make the topic where it is missing, with the partitions of the recording')
    .option('--brokers <list>', BROKERS_HELP)
    .option('--stream <name>', 'the Kinesis stream to write to')
    .option('--create-stream', 'make the stream where it is missing')
    .option('--shards <n>', 'of the new stream (default: as many as the recording has partitions)')
    .option('--region <name>', REGION_HELP)
    .option('--endpoint <url>', ENDPOINT_HELP)
    .option('--registry <url>', "the readers' schema registry (default: schema ids stay as they are)")
    .option(
      '--schemas <dir>',
      "the recording's schemas, named <id>-….avsc (default: the folder registry beside it)",
    )
    .option('--subject-per-schema', 'register each as <name>-value-<id>, so that they need not go together')
    .option('--source-topic <name>', 'the topic or stream in the recording, where it has several')
    .option('--rate <rate>', 'max, records a second (1000), or as it was recorded (1x, 60x)', 'max')
    .option(
      '--partitions <how>',
      'keep: as recorded (of n shards that of partition modulo n); hash: by the key (default: keep; hash for streams)',
    )
    .option('--timestamps <which>', 'keep: as recorded; now: the time of sending (default: keep)')
    .option(
      '--aggregate',
      'many records in one of the stream, as the Kinesis Producer Library does: faster, and all of a shard keep their order',
    )
    .option('--loop', 'begin again at the end, until Ctrl-C')
    .action((options: Options) => run(produceCommand(options, terminal)))

  command(
    program,
    'record',
    'capture a Kafka topic or a Kinesis stream into a recording, byte for byte',
    `Reads without joining a group, and commits nothing. Ctrl-C ends it with a whole file, and so do --max-records, --for and --until-end.

Of a stream all shards are read, the parents before what they were split or merged into; a shard's number is the partition of its records.
Aggregates of the KPL are taken apart.

${KAFKA_HELP}

${KINESIS_HELP}

${REGISTRY_HELP}

Example:
  millrace record --topic trips --out trips.avro --brokers localhost:9092 --registry http://localhost:8081 --until-end
  millrace record --topic trips --out live.avro --from latest --for 10m
  millrace record --stream trips --out trips.avro --region eu-west-1 --glue --until-end`,
  )
    .requiredOption('--out <file>', 'the recording')
    .option('--topic <name>', 'the Kafka topic to read')
    .option('--brokers <list>', BROKERS_HELP)
    .option('--stream <name>', 'the Kinesis stream to read')
    .option('--region <name>', REGION_HELP)
    .option('--endpoint <url>', ENDPOINT_HELP)
    .option('--registry <url>', 'write the schemas of its records into the folder registry beside the file')
    .option('--glue', GLUE_HELP)
    .option('--glue-registry <place>', GLUE_REGISTRY_HELP)
    .option('--from <where>', 'earliest, latest, or a time, ISO 8601', 'earliest')
    .option('--max-records <n>', 'stop after so many')
    .option('--for <duration>', 'stop after so long: 30s, 10m, 2h')
    .option('--until-end', 'stop where the topic or the stream ends now')
    .option('--overwrite', 'replace the file where it is there already')
    .action((options: Options) => run(recordCommand(options, terminal)))
}

async function produceCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const place = topicOrStream(options, PRODUCE_OWN)
  const partitions = parseChoice(
    '--partitions',
    textOf(options, 'partitions') ?? (place.kind === 'topic' ? 'keep' : 'hash'),
    ['keep', 'hash'],
  )
  const timestamps = parseChoice('--timestamps', textOf(options, 'timestamps') ?? 'keep', ['keep', 'now'])
  const shards = textOf(options, 'shards')
  const createStream = options['createStream'] === true
  if (shards !== null && !createStream) {
    throw usageError(
      '--shards is given without --create-stream',
      'A stream that is there has its shards already.',
    )
  }
  const parsed = {
    recording: textOf(options, 'recording')!,
    to:
      place.kind === 'topic'
        ? { ...place, createTopic: options['createTopic'] === true, partitions, timestamps }
        : {
            ...place,
            createStream,
            shards: shards === null ? null : parseCount('--shards', shards),
            partitions,
            aggregate: options['aggregate'] === true,
          },
    registry: textOf(options, 'registry'),
    schemas: textOf(options, 'schemas'),
    subjectPerSchema: options['subjectPerSchema'] === true,
    sourceTopic: textOf(options, 'sourceTopic'),
    rate: parseRate(textOf(options, 'rate')!),
    loop: options['loop'] === true,
  }
  const { produce } = await import('./produce.ts')
  return produce(parsed, terminal)
}

async function recordCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const place = topicOrStream(options, RECORD_OWN)
  const from = textOf(options, 'from')!
  const maxRecords = textOf(options, 'maxRecords')
  const duration = textOf(options, 'for')
  const parsed = {
    place,
    out: textOf(options, 'out')!,
    registry: textOf(options, 'registry'),
    glue: glueOf(options),
    from: from === 'earliest' || from === 'latest' ? from : new Date(parseTime('--from', from)),
    maxRecords: maxRecords === null ? null : parseCount('--max-records', maxRecords),
    forMs: duration === null ? null : parseSpan('--for', duration),
    untilEnd: options['untilEnd'] === true,
    overwrite: options['overwrite'] === true,
  } as const
  const { record } = await import('./record.ts')
  return record(parsed, terminal)
}
