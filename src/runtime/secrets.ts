const SECRET_WORDS = [
  'password',
  'passwd',
  'passphrase',
  'secret',
  'token',
  'authorization',
  'credential',
  'sasl',
  'apikey',
  'accesskey',
  'privatekey',
  'cookie',
]

/** user:password@ in a URL. */
const URL_CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi

const REDACTED = '[redacted]'
const DEPTH_MAX = 8

/**
 * A copy of what is about to be logged in which no secret is left: values under keys that name one, and the user
 * part of URLs in any text. Works by name and at any depth, because whoever adds an option does not think of the log.
 */
export function withoutSecrets(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return value.replace(URL_CREDENTIALS, `$1${REDACTED}@`)
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depth === DEPTH_MAX) return '[deeper]'
  if (value instanceof Error) return withoutSecretsInError(value, depth)
  if (Array.isArray(value)) return value.map((element) => withoutSecrets(element, depth + 1))
  if (value instanceof Map) return withoutSecrets(Object.fromEntries(value), depth)
  if (value instanceof Set) return withoutSecrets([...value], depth)
  if (value instanceof Date) return value.toISOString()
  const copy: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    copy[key] =
      namesSecret(key) && inner !== null && inner !== undefined ? REDACTED : withoutSecrets(inner, depth + 1)
  }
  return copy
}

function namesSecret(key: string): boolean {
  const plain = key.toLowerCase().replaceAll(/[^a-z]/g, '')
  return SECRET_WORDS.some((word) => plain.includes(word))
}

/** Message and stack are not enumerable, and the fields that clients of brokers and stores add often hold requests. */
function withoutSecretsInError(error: Error, depth: number): object {
  const { code } = error as { code?: unknown }
  return {
    type: error.name,
    ...(code === undefined ? {} : { code: withoutSecrets(code, depth + 1) }),
    message: withoutSecrets(error.message, depth + 1),
    stack: withoutSecrets(error.stack, depth + 1),
    ...(error.cause === undefined ? {} : { cause: withoutSecrets(error.cause, depth + 1) }),
  }
}
