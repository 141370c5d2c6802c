import { type Command, command, type Options, type Run, textOf } from './command.ts'
import type { ExitCode } from './failure.ts'
import { KAFKA_HELP } from './kafka-place.ts'
import { ENDPOINT_HELP, KINESIS_HELP, namedKinesis, REGION_HELP, streamName } from './kinesis-place.ts'
import type { LagLimit } from './lag-report.ts'
import { LAKE_DEFAULT, LAKE_HELP, parseCount, parseSpan } from './option-values.ts'
import type { Terminal } from './terminal.ts'

const DETAILS = `Lag is what is in the topic or the stream and not yet in every table: in records, and in the time between them (their timestamps in
Kafka, their arrival in Kinesis). A merge has its own: what is not yet in the results of its windows. Looks from outside; the pipeline need not run.

Which of the two the pipeline reads its chains say. The records of a shard have to be read to be counted: at most --count of each are, with its limits (five
reads and 2 MB a second) shared with the pipeline. Its time is exact however many there are.

With --max-lag the exit code is 5 where the lag is larger: records are summed over the partitions, times are those of each task.

${KAFKA_HELP}

${KINESIS_HELP}

Example:
  millrace lag --lake s3://lake/prod --brokers kafka:9092 --watch
  millrace lag --lake s3://lake/prod --region eu-west-1
  millrace lag --lake ./lake --max-lag 5m || page-somebody`

export function describeLag(program: Command, terminal: Terminal, run: Run): void {
  command(program, 'lag', 'how far a pipeline is behind its topics, or its stream', DETAILS)
    .option('--lake <lake>', LAKE_HELP, LAKE_DEFAULT)
    .option('--brokers <list>', 'host:port, separated by commas')
    .option('--pipeline <name>', 'which one, where the lake has several')
    .option('--topic <names>', 'topics of which nothing is recorded yet, separated by commas')
    .option('--region <name>', REGION_HELP)
    .option('--endpoint <url>', ENDPOINT_HELP)
    .option('--stream <name>', 'a stream of which nothing is recorded yet')
    .option('--count <n>', 'of a shard, count so many records; more are at least so many', '1000')
    .option('--max-lag <limit>', 'records (10000) or time (30s, 5m, 1h); beyond it the exit code is 5')
    .option('--watch', 'again and again')
    .option('--every <time>', 'how often, with --watch', '5s')
    .option('--json', 'as JSON; with --watch one line each time')
    .option('--transactional-id-prefix <prefix>', 'as the output topics have it', 'millrace')
    .action((options: Options) => run(lagCommand(options, terminal)))
}

async function lagCommand(options: Options, terminal: Terminal): Promise<ExitCode> {
  const maxLag = textOf(options, 'maxLag')
  const stream = textOf(options, 'stream')
  const parsed = {
    lake: textOf(options, 'lake')!,
    brokers: textOf(options, 'brokers'),
    kinesis: namedKinesis(options),
    stream: stream === null ? null : streamName(stream),
    countMax: parseCount('--count', textOf(options, 'count')!),
    pipeline: textOf(options, 'pipeline'),
    topics: textOf(options, 'topic')?.split(',') ?? [],
    transactionalIdPrefix: textOf(options, 'transactionalIdPrefix')!,
    isJson: options['json'] === true,
    everyMs: options['watch'] === true ? parseSpan('--every', textOf(options, 'every')!) : null,
    limit: maxLag === null ? null : limitOf(maxLag),
  }
  const { lag } = await import('./lag.ts')
  return lag(parsed, terminal)
}

function limitOf(text: string): LagLimit {
  if (/^[\d_,]+$/.test(text)) return { records: parseCount('--max-lag', text, { min: 0 }) }
  return { ms: parseSpan('--max-lag', text) }
}
