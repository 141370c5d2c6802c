import { PipelineError, unreachable } from '../../src/errors.ts'
import type { S3Failure } from './s3-failure.ts'

/** What was tried when it failed. */
export interface S3Attempt {
  /** As a policy names it: 's3:PutObject'. */
  readonly action: string
  readonly bucket: string
  /** The key, or the prefix of a list. */
  readonly name: string
  readonly endpoint: string | null
  readonly kind: 'read' | 'write'
  /** The store has answered before, so the configuration is right. */
  readonly hasAnswered: boolean
}

interface Explanation {
  readonly code: string
  /** The end of a sentence that begins with what could not be done. */
  readonly why: string
  readonly advice: string
  readonly retryable: boolean
}

/** The error that a user sees. A write that may have been done in spite of it is STORE_AMBIGUOUS. */
export function s3Error(failure: S3Failure, attempt: S3Attempt): PipelineError {
  const { code, why, advice, retryable } = explain(failure, attempt)
  const isAmbiguous = attempt.kind === 'write' && retryable && !failure.isRefused
  const path = `s3://${attempt.bucket}/${attempt.name}`
  const what = attempt.kind === 'write' ? `Cannot write ${path}` : `Cannot read ${path}`
  return new PipelineError(isAmbiguous ? 'STORE_AMBIGUOUS' : code, `${what}: ${why}`, {
    retryable,
    advice,
    cause: failure.error,
  })
}

function explain(failure: S3Failure, attempt: S3Attempt): Explanation {
  const { code, message, region } = failure
  const { action, bucket, hasAnswered } = attempt
  const server = attempt.endpoint ?? 'S3'
  switch (failure.kind) {
    case 'no-such-bucket':
      return final(
        'BUCKET_NOT_FOUND',
        `there is no bucket '${bucket}' at ${server}`,
        'Make the bucket, or correct its name or the endpoint.',
      )
    case 'forbidden':
      return forbidden(failure, attempt)
    case 'bad-credentials':
      return final(
        'CREDENTIALS_INVALID',
        `${server} does not accept the credentials (${code})`,
        'Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile; and that they belong to this endpoint.',
      )
    case 'expired':
      return {
        ...final(
          'CREDENTIALS_INVALID',
          `the credentials have expired (${code})`,
          'Get new ones (aws sso login, or a new session token), then start again: nothing is lost.',
        ),
        // They have an end, so whoever gave them will give others.
        retryable: failure.isTransient,
      }
    case 'no-credentials':
      return {
        ...final(
          'CREDENTIALS_MISSING',
          `no credentials were found: ${message}`,
          'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the process a role.',
        ),
        retryable: hasAnswered,
      }
    case 'clock':
      return passing(
        'CLOCK_SKEWED',
        `the clock of this machine differs from that of ${server}`,
        'Set the clock (NTP): S3 allows 15 minutes.',
      )
    case 'other-region':
      return final(
        'BUCKET_REGION',
        `the bucket '${bucket}' is in ${region === null ? 'another region' : `the region ${region}`}`,
        region === null
          ? 'Name its region: s3({ region }) or AWS_REGION.'
          : `Name it: s3({ region: '${region}' }) or AWS_REGION=${region}.`,
      )
    case 'no-region':
      return final(
        'REGION_MISSING',
        'no region is configured',
        'Name that of the bucket: s3({ region }) or AWS_REGION.',
      )
    case 'conflict':
    case 'busy':
      return passing(
        'STORE_BUSY',
        `${server} is busy (${code})`,
        'Nothing, unless it stays: then look at the request rate of the bucket.',
      )
    case 'full':
      return final(
        'STORE_FULL',
        `${server} has no room (${message})`,
        'Make room or raise the quota, then start again: nothing was lost.',
      )
    case 'corrupt':
      return final(
        'STORE_CORRUPT',
        `what arrived is not what was sent (${message})`,
        'Compare the object with a copy. If it is sound, look at the network and at proxies between.',
      )
    case 'no-conditions':
      return final(
        'STORE_NOT_CONDITIONAL',
        `${server} cannot do this (${code}: ${message})`,
        'Exactly-once needs a server that knows If-None-Match. Use another one, or a newer version.',
      )
    case 'key-service':
      return final(
        'STORE_FORBIDDEN',
        `the key service refused (${code}: ${message})`,
        `Allow kms:GenerateDataKey and kms:Decrypt on the key, and check that it is enabled.`,
      )
    case 'no-such-host':
      return unreached(
        failure,
        attempt,
        'Correct the endpoint (AWS_ENDPOINT_URL_S3) or the region; where the bucket is part of the host name, try pathStyle: true.',
      )
    case 'untrusted':
      return unreached(
        failure,
        attempt,
        'Correct http or https in the endpoint; name the certificate of a private authority with NODE_EXTRA_CA_CERTS.',
      )
    case 'not-s3':
      return unreached(
        failure,
        attempt,
        'Check the endpoint: what is there does not speak S3. It may be a console, or a proxy.',
      )
    case 'network':
      return passing(
        'STORE_UNREACHABLE',
        `${server} does not answer (${reasonOf(failure)})`,
        'Check that it runs, and the endpoint (AWS_ENDPOINT_URL_S3), the network and proxies.',
      )
    case 'server':
      return passing(
        'STORE_UNREACHABLE',
        `${server} has failed (${reasonOf(failure)})`,
        'Nothing, unless it stays: then look at the server.',
      )
    case 'exists':
    case 'no-such-key':
    case 'other':
      return final('STORE_FAILED', `${server} answered ${reasonOf(failure)}`, `The request was ${action}.`)
    default:
      return unreachable(failure.kind)
  }
}

function forbidden({ message }: S3Failure, { action, bucket, name, kind }: S3Attempt): Explanation {
  // Who may not write a record needs the right for the whole lake around it.
  const objects = name.replace(/_millrace\/.*$/, '*')
  const resource = action === 's3:ListBucket' ? `arn:aws:s3:::${bucket}` : `arn:aws:s3:::${bucket}/${objects}`
  const also =
    kind === 'read' && action !== 's3:ListBucket'
      ? ' Without s3:ListBucket on the bucket, S3 says the same of an object that is not there.'
      : ''
  const advice = /kms/i.test(message)
    ? 'Allow kms:GenerateDataKey and kms:Decrypt on the key that encrypts the bucket.'
    : `Allow ${action} on ${resource}; docs/s3.md has the whole policy.${also}`
  return final('STORE_FORBIDDEN', `${action} is not allowed (${message})`, advice)
}

/** Wrong from the first request on it is a mistake; later on, an outage. */
function unreached(failure: S3Failure, { endpoint, hasAnswered }: S3Attempt, advice: string): Explanation {
  const why = `${endpoint ?? 'S3'} cannot be used (${reasonOf(failure)})`
  return { code: 'STORE_UNREACHABLE', why, advice, retryable: hasAnswered }
}

function reasonOf({ code, message }: S3Failure): string {
  return message === '' || message === code || message.includes(code)
    ? message || code
    : `${code}: ${message}`
}

function final(code: string, why: string, advice: string): Explanation {
  return { code, why, advice, retryable: false }
}

function passing(code: string, why: string, advice: string): Explanation {
  return { code, why, advice, retryable: true }
}
