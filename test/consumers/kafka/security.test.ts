import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTopic, findKafkaPackages, type Kafka, startKafka } from '../../parts/kafka.ts'
import { type OpenOptions, readFirst, send, thrownBy } from './source-kit.ts'

const run = promisify(execFile)
const packages = await findKafkaPackages()

interface Certificates {
  readonly ca: string
  readonly server: { readonly cert: string; readonly key: string }
  readonly client: { readonly cert: string; readonly key: string }
}

/** An authority of our own, and what it has signed: for 127.0.0.1, and for a client. */
async function makeCertificates(folder: string): Promise<Certificates> {
  const path = (file: string): string => join(folder, file)
  const openssl = (...args: string[]): Promise<unknown> => run('openssl', args, { cwd: folder })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test-ca',
    '-days',
    '2',
  )
  await writeFile(path('server.ext'), 'subjectAltName=IP:127.0.0.1\n')
  await writeFile(path('client.ext'), 'extendedKeyUsage=clientAuth\n')
  for (const name of ['server', 'client']) {
    await openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const signed = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
    ]
    await openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`)
  }
  const read = (file: string): Promise<string> => readFile(path(file), 'utf8')
  return {
    ca: await read('ca.pem'),
    server: { cert: await read('server.pem'), key: await read('server.key') },
    client: { cert: await read('client.pem'), key: await read('client.key') },
  }
}

/** A token that only a broker in a test believes. */
async function unsecuredToken(): Promise<string> {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const nowS = Math.floor(Date.now() / 1000)
  return `${part({ alg: 'none' })}.${part({ sub: 'alice', iat: nowS, exp: nowS + 600 })}.`
}

const JAAS = 'org.apache.kafka.common.security'

describe.skipIf(packages.kind === 'missing')('a broker that asks who is there', () => {
  const topic = 'guarded'
  let folder: string
  let broker: Kafka
  let certificates: Certificates

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-certificates-'))
    certificates = await makeCertificates(folder)
    const pem = (text: string): string => text.trim()
    broker = await startKafka({
      listeners: [
        { name: 'SASL', protocol: 'SASL_PLAINTEXT' },
        { name: 'TLS', protocol: 'SSL' },
        { name: 'BOTH', protocol: 'SASL_SSL' },
      ],
      scramUsers: [
        { mechanism: 'SCRAM-SHA-256', name: 'alice', password: 'scram-256' },
        { mechanism: 'SCRAM-SHA-512', name: 'alice', password: 'scram-512' },
      ],
      properties: {
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        ...Object.fromEntries(
          ['sasl', 'both'].flatMap((listener) => [
            [
              `listener.name.${listener}.plain.sasl.jaas.config`,
              `${JAAS}.plain.PlainLoginModule required user_alice="plain" user_bob="plain";`,
            ],
            [
              `listener.name.${listener}.scram-sha-256.sasl.jaas.config`,
              `${JAAS}.scram.ScramLoginModule required;`,
            ],
            [
              `listener.name.${listener}.scram-sha-512.sasl.jaas.config`,
              `${JAAS}.scram.ScramLoginModule required;`,
            ],
            [
              `listener.name.${listener}.oauthbearer.sasl.jaas.config`,
              `${JAAS}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
            ],
          ]),
        ),
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.certificate.chain': pem(certificates.server.cert),
        'ssl.keystore.key': pem(certificates.server.key),
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.certificates': pem(certificates.ca),
        'listener.name.tls.ssl.client.auth': 'required',
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS;User:alice;User:CN=client',
      },
    })
    await createTopic(broker.brokers, topic)
    await send(broker.brokers, topic, [{ value: 'secret' }])
  })

  afterAll(async () => {
    await broker?.dispose()
    await rm(folder, { recursive: true })
  })

  const read = async (listener: string, options: Omit<OpenOptions, 'brokers'>): Promise<unknown> => {
    const brokers = [broker.listener(listener)]
    return (await readFirst({ brokers, topic, connectTimeoutMs: 3_000, ...options })).map(
      ({ value }) => value,
    )
  }
  const alice = { username: 'alice' }

  it.each([
    ['plain', 'plain'],
    ['scram-sha-256', 'scram-256'],
    ['scram-sha-512', 'scram-512'],
  ] as const)('lets in who has the right password: %s', async (mechanism, password) => {
    expect(await read('SASL', { sasl: { mechanism, ...alice, password } })).toEqual(['secret'])
  })

  it('lets in who has a token', async () => {
    const sasl = { mechanism: 'oauthbearer', token: unsecuredToken } as const
    expect(await read('SASL', { sasl })).toEqual(['secret'])
  })

  it('lets in who has a certificate of its own, and who has a password behind TLS', async () => {
    const { ca, client } = certificates
    expect(await read('TLS', { tls: { ca, ...client } })).toEqual(['secret'])
    const sasl = { mechanism: 'scram-sha-512', ...alice, password: 'scram-512' } as const
    expect(await read('BOTH', { tls: { ca }, sasl })).toEqual(['secret'])
  })

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'refuses a wrong password, for good: %s',
    async (mechanism) => {
      const error = await thrownBy(() => read('SASL', { sasl: { mechanism, ...alice, password: 'wrong' } }))
      expect([error.code, error.retryable]).toEqual(['KAFKA_AUTHENTICATION', false])
      expect(error.message).not.toContain('wrong')
      expect(error.advice).toContain('credentials')
    },
  )

  it('refuses a token that the broker does not believe, for good', async () => {
    const token = async (): Promise<string> => (await unsecuredToken()).replace(/\..*\./, '.e30.')
    const error = await thrownBy(() => read('SASL', { sasl: { mechanism: 'oauthbearer', token } }))
    expect([error.code, error.retryable]).toEqual(['KAFKA_AUTHENTICATION', false])
  })

  it('says whose certificate is not trusted, and what is missing', async () => {
    const error = await thrownBy(() => read('TLS', { tls: true }))
    expect([error.code, error.retryable]).toEqual(['KAFKA_TLS', false])
    expect(error.advice).toContain('tls.ca')
  })

  it.each([
    ['a plain client, where TLS is wanted', 'BOTH', {}],
    ['a plain client, where a password is wanted', 'SASL', {}],
    ['a client without a certificate, where one is wanted', 'TLS', { tls: 'ca' }],
  ] as const)('is not reached by %s, and the error says so in the end', async (_, listener, options) => {
    const tls = 'tls' in options ? { tls: { ca: certificates.ca } } : {}
    const error = await thrownBy(() => read(listener, tls))
    expect(['KAFKA_UNREACHABLE', 'KAFKA_TLS']).toContain(error.code)
    expect(error.retryable).toBe(false)
    expect(error.advice).toMatch(/`tls`|tls\.ca/)
  })

  it('names what somebody else may not read', async () => {
    const error = await thrownBy(() =>
      read('SASL', { sasl: { mechanism: 'plain', username: 'bob', password: 'plain' } }),
    )
    expect([error.code, error.retryable]).toEqual(['KAFKA_AUTHORIZATION', false])
    expect(error.advice).toContain('the topic guarded')
  })
})
