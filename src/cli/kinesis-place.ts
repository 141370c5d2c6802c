import type { KinesisOptions } from '../kinesis/options.ts'
import type { Options } from './command.ts'
import { textOf } from './command.ts'
import { usageError } from './failure.ts'

/** For `--help` of each command that speaks with Kinesis. */
export const KINESIS_HELP = `Where Kinesis is: --region, or what AWS's own tools look at (AWS_REGION, AWS_PROFILE). Credentials come from there, too.
Another address than that of the region, a stand-in say: --endpoint, or MILLRACE_KINESIS_ENDPOINT.`

export const REGION_HELP = 'of the stream (default: AWS_REGION, or that of the profile)'
export const ENDPOINT_HELP = 'another address than that of the region (default: MILLRACE_KINESIS_ENDPOINT)'

type Environment = Readonly<Record<string, string | undefined>>

/** What the options of a command say of where Kinesis is. Null: not said. */
export interface NamedKinesis {
  readonly region: string | null
  readonly endpoint: string | null
}

export interface NamedTopic {
  readonly kind: 'topic'
  readonly topic: string
  readonly brokers: string | null
}

export interface NamedStream extends NamedKinesis {
  readonly kind: 'stream'
  readonly stream: string
}

/** Options that go with one of the two only, as commander calls them. */
interface OwnOptions {
  readonly topic: readonly string[]
  readonly stream: readonly string[]
}

/**
 * Which one a command is for: exactly one of --topic and --stream.
 * @throws PipelineError USAGE where there is none, where there are both, and for an option that goes with the other
 */
export function topicOrStream(options: Options, own: OwnOptions): NamedTopic | NamedStream {
  const topic = textOf(options, 'topic')
  const stream = textOf(options, 'stream')
  if (topic !== null && stream !== null) {
    throw usageError('both --topic and --stream are given', 'Name one: a Kafka topic, or a Kinesis stream.')
  }
  if (topic === null && stream === null) {
    throw usageError(
      'neither a topic nor a stream is named',
      'Name a Kafka topic with --topic, or a Kinesis stream with --stream.',
    )
  }
  const strangers = topic === null ? own.topic : own.stream
  const stranger = strangers.find((name) => options[name] !== undefined)
  if (stranger !== undefined) {
    const [with_, of] = topic === null ? ['--stream', 'Kafka topics'] : ['--topic', 'Kinesis streams']
    throw usageError(`${flagOf(stranger)} does not go with ${with_}`, `It is for ${of}: leave it out.`)
  }
  if (topic !== null) return { kind: 'topic', topic, brokers: textOf(options, 'brokers') }
  return { kind: 'stream', stream: streamName(stream!), ...namedKinesis(options) }
}

export function namedKinesis(options: Options): NamedKinesis {
  return { region: textOf(options, 'region'), endpoint: textOf(options, 'endpoint') }
}

/**
 * The Kinesis of a command. What is neither named nor in the environment is left to the AWS SDK, which also looks into the profile.
 * @throws PipelineError USAGE
 */
export function kinesisPlace(named: NamedKinesis, env: Environment = process.env): KinesisOptions {
  const endpoint = named.endpoint ?? set(env, 'MILLRACE_KINESIS_ENDPOINT')
  const region = named.region ?? set(env, 'AWS_REGION') ?? set(env, 'AWS_DEFAULT_REGION')
  if (endpoint !== null && !/^https?:\/\/[^/]/i.test(endpoint)) {
    const from = named.endpoint === null ? 'MILLRACE_KINESIS_ENDPOINT is' : '--endpoint'
    throw usageError(`${from} ${endpoint}, which is no URL`, 'Write it as http://127.0.0.1:4567.')
  }
  return { ...(region === null ? {} : { region }), ...(endpoint === null ? {} : { endpoint }) }
}

/** @throws PipelineError USAGE where no stream can be called so */
export function streamName(name: string): string {
  if (/^[\w.-]{1,128}$/.test(name)) return name
  const advice = 'Streams have letters, digits, and _ . - in their names, at most 128; an ARN is no name.'
  throw usageError(`--stream ${name} is no name of a stream`, advice)
}

/** 'createTopic' as users write it: '--create-topic'. */
function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** Null where it is empty or not there. */
function set(env: Environment, name: string): string | null {
  const value = env[name]
  return value === undefined || value === '' ? null : value
}
