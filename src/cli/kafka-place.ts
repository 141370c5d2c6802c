import { readFile } from 'node:fs/promises'
import type { KafkaOptions, KafkaSasl, KafkaTls } from '../kafka/client.ts'
import { usageError } from './failure.ts'

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

/** For `--help` of each command that speaks with Kafka. */
export const KAFKA_HELP = `Where Kafka is: --brokers, or MILLRACE_KAFKA_BROKERS. For a cluster with TLS and passwords also
  MILLRACE_KAFKA_TLS            1, or the file of the certificate authority (PEM)
  MILLRACE_KAFKA_TLS_CERT       with MILLRACE_KAFKA_TLS_KEY: files of your own certificate and its key
  MILLRACE_KAFKA_SASL           ${MECHANISMS.join(', ')}
  MILLRACE_KAFKA_USERNAME       and MILLRACE_KAFKA_PASSWORD`

/**
 * The cluster of a command: its address as an option, the rest from the environment, where secrets do not show in a list of processes.
 * @throws PipelineError USAGE
 */
export async function kafkaPlace(
  brokers: string | null,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<KafkaOptions> {
  const named = brokers ?? set(env, 'MILLRACE_KAFKA_BROKERS')
  if (named === null) {
    throw usageError(
      'no brokers are named',
      'Name one or more: --brokers localhost:9092, or MILLRACE_KAFKA_BROKERS.',
    )
  }
  const tls = await tlsOf(env)
  const sasl = saslOf(env)
  return {
    brokers: named.split(','),
    ...(tls === null ? {} : { tls }),
    ...(sasl === null ? {} : { sasl }),
  }
}

async function tlsOf(env: Readonly<Record<string, string | undefined>>): Promise<KafkaTls | true | null> {
  const authority = set(env, 'MILLRACE_KAFKA_TLS')
  if (authority === null || authority === '0' || authority === 'false') return null
  const cert = await fileOf(env, 'MILLRACE_KAFKA_TLS_CERT')
  const key = await fileOf(env, 'MILLRACE_KAFKA_TLS_KEY')
  const isSystems = authority === '1' || authority === 'true'
  const ca = isSystems ? null : await fileOf(env, 'MILLRACE_KAFKA_TLS')
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
  }
}

function saslOf(env: Readonly<Record<string, string | undefined>>): KafkaSasl | null {
  const named = set(env, 'MILLRACE_KAFKA_SASL')
  if (named === null) return null
  const mechanism = MECHANISMS.find((known) => known === named.toLowerCase())
  const username = set(env, 'MILLRACE_KAFKA_USERNAME')
  const password = set(env, 'MILLRACE_KAFKA_PASSWORD')
  if (mechanism === undefined) {
    throw usageError(`MILLRACE_KAFKA_SASL is ${named}`, `Use ${MECHANISMS.join(', ')}.`)
  }
  if (username === null || password === null) {
    throw usageError(
      'MILLRACE_KAFKA_SASL is set, without a user and a password',
      'Set MILLRACE_KAFKA_USERNAME and MILLRACE_KAFKA_PASSWORD.',
    )
  }
  return { mechanism, username, password }
}

async function fileOf(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
): Promise<string | null> {
  const path = set(env, name)
  if (path === null) return null
  try {
    return await readFile(path, 'utf8')
  } catch {
    throw usageError(`${name} is ${path}, which cannot be read`, 'It is the path of a PEM file.')
  }
}

/** Null where it is empty or not there. */
function set(env: Readonly<Record<string, string | undefined>>, name: string): string | null {
  const value = env[name]
  return value === undefined || value === '' ? null : value
}
