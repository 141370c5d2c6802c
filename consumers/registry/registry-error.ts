import { PipelineError } from '../../src/errors.ts'
import type { RegistryAnswer } from './registry-http.ts'

/** What the registry itself has answered other than what was asked for. */
export type RegistryProblem = 'not-found' | 'incompatible' | 'refused'

/** https://docs.confluent.io/platform/current/schema-registry/develop/api.html: subject, version and schema not found. */
const NOT_FOUND_CODES: ReadonlySet<unknown> = new Set([40401, 40402, 40403])
const TOO_MANY_REQUESTS = 429
const REQUEST_TIMEOUT = 408

/**
 * What an answer is, other than 200 with JSON: what the registry said, or an error to be thrown. A status alone proves nothing,
 * because a proxy or another server has statuses too: only an `error_code` does. Null where nothing is wrong.
 */
export function registryProblem(
  description: string,
  answer: RegistryAnswer,
  hasAnswered: boolean,
): RegistryProblem | PipelineError | null {
  const { status, json } = answer
  const code = (json as { error_code?: unknown } | null | undefined)?.error_code
  if (status === 200 && typeof json === 'object' && json !== null) return null
  if (status === 401 || status === 403) return forbidden(description, status, answer)
  if (status >= 500 || status === TOO_MANY_REQUESTS || status === REQUEST_TIMEOUT) {
    return new PipelineError(
      'REGISTRY_UNAVAILABLE',
      `${description}: the schema registry answers ${status}${said(answer)}`,
      {
        retryable: true,
        advice: 'Look at the log of the registry. Until it answers, the input is held back.',
      },
    )
  }
  if (status === 404 && NOT_FOUND_CODES.has(code)) return 'not-found'
  if (typeof code === 'number' && status === 409) return 'incompatible'
  if (typeof code === 'number' && status >= 400) return 'refused'
  const where = answer.location === undefined ? '' : `, to ${withoutSecrets(answer.location)}`
  return notARegistry(description, `it answers ${status}${where}${said(answer)}`, hasAnswered)
}

export function notARegistry(description: string, what: string, hasAnswered: boolean): PipelineError {
  return new PipelineError(
    'REGISTRY_INVALID',
    `${description} does not answer as a schema registry: ${what}`,
    {
      // Before, it did: something stands in its way, and may go again.
      retryable: hasAnswered,
      advice:
        'Check the URL, its path too (Apicurio: http://…/apis/ccompat/v7), and what stands between: a proxy, a login page.',
    },
  )
}

export function schemaIncompatible(
  description: string,
  subject: string,
  answer: RegistryAnswer,
  reasons: readonly string[],
): PipelineError {
  const all = [...new Set([...reasons, messageIn(answer)].filter((reason) => reason !== ''))]
  return new PipelineError(
    'SCHEMA_INCOMPATIBLE',
    `${description}: the schema does not go with those that ${subject} has: ${all.join('; ') || 'it does not say why'}`,
    {
      advice:
        'Give new fields a default, keep the types of old ones, or use another topic. What is allowed is the compatibility ' +
        'of the subject in the registry.',
    },
  )
}

/** `subject` where a schema was to be registered. */
export function schemaRefused(
  description: string,
  subject: string | undefined,
  answer: RegistryAnswer,
): PipelineError {
  const what = subject === undefined ? 'refuses the request' : `does not take the schema of ${subject}`
  return new PipelineError(
    'REGISTRY_REFUSED',
    `${description}: the schema registry ${what} (${answer.status})${said(answer)}`,
    { advice: 'It is read-only, has no such subject, or holds the schema for invalid: see what it says.' },
  )
}

function forbidden(description: string, status: number, answer: RegistryAnswer): PipelineError {
  return new PipelineError(
    'REGISTRY_FORBIDDEN',
    `${description}: the schema registry ${status === 401 ? 'does not know who asks' : 'does not allow this'} (${status})${said(answer)}`,
    {
      advice:
        status === 401
          ? 'Give auth: { username, password } or { token }, and check that they are those of this registry.'
          : 'Give this user the right to read schemas, and to write the subject where one is to be registered.',
    },
  )
}

const SAID_CHARACTERS_MAX = 200

/** What the answer says, as a part of a sentence. */
function said(answer: RegistryAnswer): string {
  const message = messageIn(answer)
  if (message !== '') return `: ${message}`
  const text = answer.text.replace(/\s+/g, ' ').trim()
  if (text === '') return ''
  return `: ${text.length > SAID_CHARACTERS_MAX ? `${text.slice(0, SAID_CHARACTERS_MAX)}…` : text}`
}

function messageIn({ json }: RegistryAnswer): string {
  const message = (json as { message?: unknown } | null | undefined)?.message
  return typeof message === 'string' ? message : ''
}

function withoutSecrets(location: string): string {
  return location.replace(/\/\/[^/@]*@/, '//').replace(/[?#].*$/, '')
}
