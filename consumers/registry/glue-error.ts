import { PipelineError, unreachable } from '../../src/errors.ts'
import type { KinesisFailure } from '../../src/kinesis/failure.ts'

/** What is to be thrown for a request that failed, with the codes of the other registries. `mayMend`: it went well before, or others give credentials. */
export function glueError(
  description: string,
  failure: KinesisFailure,
  mayMend: boolean,
  cause: unknown,
): PipelineError {
  const { message } = failure
  // A gateway's page cannot be read, and its status can.
  const kind = /^HTTP (?:5\d\d|408|429)$/.test(failure.code) ? 'server' : failure.kind
  const make = (code: string, what: string, advice: string, retryable: boolean): PipelineError =>
    new PipelineError(code, `${description} ${what}`, { cause, retryable, advice })
  const said = message === '' ? failure.code : message
  switch (kind) {
    case 'forbidden':
    case 'key-forbidden':
      return make(
        'REGISTRY_FORBIDDEN',
        `does not allow this: ${said}`,
        'Allow glue:GetSchemaVersion, for all registries and schemas that the records name, to whom the credentials belong to.',
        false,
      )
    case 'bad-credentials':
      return make(
        'REGISTRY_FORBIDDEN',
        `does not take the credentials: ${said}`,
        'They have ended, or are wrong. Give credentials as a function where they rotate, or leave them to the AWS SDK (environment, profile, role).',
        mayMend,
      )
    case 'no-credentials':
      return make(
        'REGISTRY_FORBIDDEN',
        `cannot be asked: ${said}`,
        'Give credentials: { accessKeyId, secretAccessKey }, or have them where the AWS SDK looks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role.',
        mayMend,
      )
    case 'no-region':
      return make('REGISTRY_INVALID', 'has no region', "Give region: 'eu-west-1', or AWS_REGION.", false)
    case 'untrusted':
      return make(
        'REGISTRY_TLS',
        `has no certificate that holds: ${said}`,
        'Check the endpoint. NODE_EXTRA_CA_CERTS names a PEM file of an authority of your own.',
        false,
      )
    case 'network':
    case 'no-such-host':
      return make(
        'REGISTRY_UNREACHABLE',
        `cannot be reached: ${said}`,
        'Check the region, or the endpoint, and the way there. Until it answers, the input is held back.',
        true,
      )
    case 'throttled':
    case 'server':
    case 'clock':
      return make(
        'REGISTRY_UNAVAILABLE',
        `answers ${failure.code}: ${said}`,
        'Until it answers, the input is held back. Look at the quotas of AWS Glue, and at the clock of this machine.',
        true,
      )
    case 'strange':
      return invalid(description, said, mayMend, cause)
    // What is said of shards is not said by Glue.
    case 'iterator-expired':
    case 'in-use':
    case 'key-service':
    case 'not-found':
    case 'refused':
      // An error without a name of its own is none of Glue either.
      if (failure.code.startsWith('HTTP ')) return invalid(description, failure.code, mayMend, cause)
      return make(
        'REGISTRY_REFUSED',
        `refuses the request (${failure.code}): ${said}`,
        'See what it says, and check the region and the endpoint.',
        false,
      )
    default:
      return unreachable(kind)
  }
}

function invalid(description: string, what: string, mayMend: boolean, cause: unknown): PipelineError {
  return new PipelineError('REGISTRY_INVALID', `${description} does not answer as AWS Glue: ${what}`, {
    cause,
    // Before, it did: something stands in its way, and may go again.
    retryable: mayMend,
    advice: 'Check the endpoint, and what stands between: a proxy, another service.',
  })
}
