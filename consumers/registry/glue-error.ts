import { PipelineError } from '../../src/errors.ts'
import type { KinesisFailure, KinesisFailureKind } from '../../src/kinesis/failure.ts'

interface Problem {
  readonly code: string
  /** What follows the name of the registry. */
  readonly what: string
  readonly advice: string
  /** 'perhaps': where it went well before, or where there may be other credentials. */
  readonly mends: 'yes' | 'perhaps' | 'no'
}

const UNREACHABLE: Problem = {
  code: 'REGISTRY_UNREACHABLE',
  what: 'cannot be reached',
  advice: 'Check the region, or the endpoint, and the way there. Until it answers, the input is held back.',
  mends: 'yes',
}

const UNAVAILABLE: Problem = {
  code: 'REGISTRY_UNAVAILABLE',
  what: 'cannot answer now',
  advice:
    'Until it answers, the input is held back. Look at the quotas of AWS Glue, and at the clock of this machine.',
  mends: 'yes',
}

const FORBIDDEN: Problem = {
  code: 'REGISTRY_FORBIDDEN',
  what: 'does not allow this',
  advice:
    'Allow glue:GetSchemaVersion, for the registries and schemas that the records name, to whom the credentials belong to.',
  mends: 'no',
}

const INVALID: Problem = {
  code: 'REGISTRY_INVALID',
  what: 'does not answer as AWS Glue',
  advice: 'Check the endpoint, and what stands between: a proxy, another service.',
  // Before, it did: something stands in its way, and may go again.
  mends: 'perhaps',
}

const REFUSED: Problem = {
  code: 'REGISTRY_REFUSED',
  what: 'refuses the request',
  advice: 'See what it says, and check the region and the endpoint.',
  mends: 'no',
}

/** The kinds that Glue has as well as Kinesis; what is left is a refusal. */
const BY_KIND: Readonly<Partial<Record<KinesisFailureKind, Problem>>> = {
  network: UNREACHABLE,
  'no-such-host': UNREACHABLE,
  throttled: UNAVAILABLE,
  server: UNAVAILABLE,
  clock: UNAVAILABLE,
  forbidden: FORBIDDEN,
  'key-forbidden': FORBIDDEN,
  strange: INVALID,
  'bad-credentials': {
    code: 'REGISTRY_FORBIDDEN',
    what: 'does not take the credentials',
    advice:
      'They have ended, or are wrong. Give credentials as a function where they rotate, or leave them to the AWS SDK (environment, profile, role).',
    mends: 'perhaps',
  },
  'no-credentials': {
    code: 'REGISTRY_FORBIDDEN',
    what: 'cannot be asked',
    advice:
      'Give credentials: { accessKeyId, secretAccessKey }, or have them where the AWS SDK looks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role.',
    mends: 'perhaps',
  },
  'no-region': {
    code: 'REGISTRY_INVALID',
    what: 'has no region',
    advice: "Give region: 'eu-west-1', or AWS_REGION.",
    mends: 'no',
  },
  untrusted: {
    code: 'REGISTRY_TLS',
    what: 'has no certificate that holds',
    advice: 'Check the endpoint. NODE_EXTRA_CA_CERTS names a PEM file of an authority of your own.',
    mends: 'no',
  },
}

/** What is to be thrown for a request that failed, with the codes of the other registries. `mayMend`: it went well before, or others may give credentials. */
export function glueError(
  description: string,
  failure: KinesisFailure,
  mayMend: boolean,
  cause: unknown,
): PipelineError {
  const { code, what, advice, mends } = problemOf(failure)
  const said = failure.message === '' ? failure.code : failure.message
  return new PipelineError(code, `${description} ${what}: ${said}`, {
    cause,
    advice,
    retryable: mends === 'yes' || (mends === 'perhaps' && mayMend),
  })
}

function problemOf({ kind, code }: KinesisFailure): Problem {
  // A gateway's page cannot be read, and its status can.
  if (/^HTTP (?:5\d\d|408|429)$/.test(code)) return UNAVAILABLE
  const problem = BY_KIND[kind] ?? REFUSED
  // A refusal without a name is none of Glue.
  return problem === REFUSED && code.startsWith('HTTP ') ? INVALID : problem
}
