import { PipelineError } from '../errors.ts'

/** How to reach a Kafka cluster, for whoever uses it: the source, output topics, producers, commands. */
export interface KafkaOptions {
  /** `host:port`, of one or more brokers: the others are learnt from them. */
  readonly brokers: readonly string[]
  /** What the brokers' logs, quotas and metrics call this program. Default 'millrace'. */
  readonly clientId?: string
  /** True: the system's certificate authorities. Certificates and keys are PEM text. */
  readonly tls?: boolean | KafkaTls
  readonly sasl?: KafkaSasl
  /** Of this process: reads from a replica in the same rack where the brokers allow it. */
  readonly rack?: string
  /** Default 10 s. */
  readonly connectTimeoutMs?: number
  /** A request without an answer for so long fails, and its connection is closed. Default 30 s. */
  readonly requestTimeoutMs?: number
}

export interface KafkaTls {
  readonly ca?: string | readonly string[]
  /** With `key`: the client's own certificate (mTLS). */
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  /** Where the certificate names another host than the address. */
  readonly servername?: string
  /** False: any certificate will do. For tests only. */
  readonly rejectUnauthorized?: boolean
}

export type KafkaSasl =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      readonly password: string
    }
  | {
      readonly mechanism: 'oauthbearer'
      /** Called at each authentication: it reuses and renews tokens as it sees fit. */
      readonly token: () => Promise<string>
    }

export interface ResolvedKafkaOptions {
  readonly brokers: readonly KafkaAddress[]
  readonly clientId: string
  readonly tls: KafkaTls | null
  readonly sasl: KafkaSasl | null
  readonly rack: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}

export interface KafkaAddress {
  readonly host: string
  readonly port: number
}

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer']

/** Throws OPTION_INVALID. */
export function resolveKafkaOptions(options: KafkaOptions): ResolvedKafkaOptions {
  const { tls = false, sasl = null } = options
  const brokers = options.brokers.flatMap((list) => list.split(',')).map(addressOf)
  if (brokers.length === 0) throw invalid('brokers is empty', "Name at least one: ['localhost:9092'].")
  if (sasl !== null && !MECHANISMS.includes(sasl.mechanism)) {
    throw invalid(`sasl.mechanism is ${JSON.stringify(sasl.mechanism)}`, `One of ${MECHANISMS.join(', ')}.`)
  }
  return {
    brokers,
    clientId: options.clientId ?? 'millrace',
    tls: tls === true ? {} : tls === false ? null : tls,
    sasl,
    rack: options.rack ?? '',
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
  }
}

/** 'host:port'; an IPv6 address stands in brackets. */
function addressOf(text: string): KafkaAddress {
  const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})\s*$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port < 1 || port > 65_535) {
    throw invalid(`brokers has ${JSON.stringify(text)}`, "Write it as 'host:port', such as 'localhost:9092'.")
  }
  return { host: match[1] ?? match[2]!, port }
}

function invalid(what: string, advice: string): PipelineError {
  return new PipelineError('OPTION_INVALID', `Kafka: ${what}`, { advice })
}
