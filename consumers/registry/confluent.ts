import { assert, PipelineError } from '../../src/errors.ts'
import type { SchemaRegistry } from '../../src/ports.ts'
import {
  notARegistry,
  type RegistryProblem,
  registryProblem,
  schemaIncompatible,
  schemaRefused,
} from './registry-error.ts'
import { type RegistryAnswer, type RegistryAuth, RegistryHttp, type RegistryTls } from './registry-http.ts'
import { withReferences } from './schema-references.ts'
import { UnknownIds } from './unknown-ids.ts'

export interface ConfluentRegistryOptions {
  /** With its path, where it has one: 'http://localhost:8081', 'https://registry.example/apis/ccompat/v7'. */
  readonly url: string
  readonly auth?: RegistryAuth
  readonly tls?: RegistryTls
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>
  /** For one request, from the first byte to the last. Default 10,000. */
  readonly timeoutMs?: number
  /**
   * For how long an unknown id is asked for again before it counts as unknown: a follower of the registry may be behind its leader, and
   * a producer sends its first record at once. Default 2,000; 0 believes the first answer.
   */
  readonly unknownAfterMs?: number
  /** For how long an id then stays unknown without another request. Default 30,000. */
  readonly unknownForMs?: number
}

const TIMEOUT_MS = 10_000
const UNKNOWN_AFTER_MS = 2_000
const UNKNOWN_FOR_MS = 30_000

/** Schemas that refer to others that refer to others. Deeper is a circle, which a registry does not take. */
const REFERENCES_MAX = 1_000

/**
 * A schema registry with Confluent's HTTP interface: Confluent's own, Karapace, Apicurio under `/apis/ccompat/v7`, Redpanda.
 *
 * A schema is asked for once and kept, because an id never gets another one. Null means that the registry itself answered that it has no
 * schema with that id (404, `error_code` 40403), for `unknownAfterMs` long; anything else is an error:
 * REGISTRY_UNREACHABLE and REGISTRY_UNAVAILABLE (retryable: they hold the input back), REGISTRY_TLS, REGISTRY_FORBIDDEN, and
 * REGISTRY_INVALID where no registry answers, which is retryable only where one answered before.
 */
export function confluentRegistry(options: ConfluentRegistryOptions): ConfluentRegistry {
  return new HttpRegistry(options)
}

export interface ConfluentRegistry extends Required<Omit<SchemaRegistry, 'schemaByUuid'>> {
  /** The id of this schema under the subject; null where it is not registered there. Registers nothing. */
  idOf(subject: string, schema: string): Promise<number | null>
  /** The ids of all versions of the subject, ascending by version; empty where there is no such subject. */
  idsOf(subject: string): Promise<readonly number[]>
}

class HttpRegistry implements ConfluentRegistry {
  readonly description: string
  readonly #http: RegistryHttp
  readonly #unknown: UnknownIds
  /** Schemas by id, the requests that are under way among them. */
  readonly #schemas = new Map<number, Promise<string | null>>()
  readonly #registered = new Map<string, Promise<number>>()
  /** A registry has answered: what answers otherwise now is something that stands in its way for a while. */
  #hasAnswered = false

  constructor(options: ConfluentRegistryOptions) {
    const { timeoutMs = TIMEOUT_MS, headers = {}, tls = {} } = options
    const { url, auth, description } = parseUrl(options)
    assert(timeoutMs > 0, `timeoutMs is ${timeoutMs}`)
    this.description = description
    this.#http = new RegistryHttp({ url, description, auth, tls, headers, timeoutMs })
    this.#unknown = new UnknownIds({
      afterMs: options.unknownAfterMs ?? UNKNOWN_AFTER_MS,
      forMs: options.unknownForMs ?? UNKNOWN_FOR_MS,
    })
  }

  schemaById(id: number): Promise<string | null> {
    const known = this.#schemas.get(id)
    if (known !== undefined) return known
    if (this.#unknown.has(id)) return Promise.resolve(null)
    const asking = this.#askFor(id)
    this.#schemas.set(id, asking)
    // Only what the registry has is for ever.
    const forget = (): void => void this.#schemas.delete(id)
    asking.then((json) => json === null && forget(), forget)
    return asking
  }

  async register(subject: string, schema: string): Promise<number> {
    const key = `${subject}\n${schema}`
    const known = this.#registered.get(key)
    if (known !== undefined) return known
    const registering = this.#register(subject, schema)
    this.#registered.set(key, registering)
    registering.catch(() => this.#registered.delete(key))
    return registering
  }

  async idOf(subject: string, schema: string): Promise<number | null> {
    const answer = await this.#call('POST', `/subjects/${encodeURIComponent(subject)}`, { schema })
    return answer === null ? null : this.#idIn(answer, subject)
  }

  async idsOf(subject: string): Promise<readonly number[]> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    const versions = await this.#call('GET', path)
    if (versions === null) return []
    if (!Array.isArray(versions)) throw this.#invalid(`its answer for ${subject} is no list of versions`)
    const ids: number[] = []
    for (const version of versions as readonly unknown[]) {
      const answer = await this.#call('GET', `${path}/${String(version)}`)
      // Deleted since.
      if (answer !== null) ids.push(this.#idIn(answer, subject))
    }
    return ids
  }

  async #askFor(id: number): Promise<string | null> {
    return this.#unknown.confirm(id, async () => {
      const answer = await this.#call('GET', `/schemas/ids/${id}`)
      if (answer === null) return null
      const { schema, schemaType, references } = answer as SchemaAnswer
      if (typeof schema !== 'string') throw this.#invalid('its answer has no schema')
      // Of another kind: the caller is told which, and makes dead letters of its records.
      if (schemaType !== undefined && schemaType !== 'AVRO') return JSON.stringify({ schemaType, schema })
      if (!Array.isArray(references) || references.length === 0) return schema
      return this.#inlined(schema, references as readonly Reference[])
    })
  }

  async #inlined(schema: string, references: readonly Reference[]): Promise<string> {
    const referenced: { readonly json: unknown }[] = []
    const asked = new Set<string>()
    const queue = [...references]
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { subject, version } = next
      const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
      if (asked.has(path)) continue
      asked.add(path)
      if (asked.size > REFERENCES_MAX)
        throw this.#invalid(`a schema has more than ${REFERENCES_MAX} references`)
      const answer = (await this.#call('GET', path)) as SchemaAnswer | null
      if (answer === null)
        throw this.#invalid(`it has no version ${version} of ${subject}, which a schema refers to`)
      referenced.push({ json: this.#parse(answer.schema) })
      queue.push(...((answer.references as readonly Reference[] | undefined) ?? []))
    }
    return JSON.stringify(withReferences(this.#parse(schema), referenced))
  }

  async #register(subject: string, schema: string): Promise<number> {
    const found = await this.idOf(subject, schema)
    if (found !== null) return found
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    return this.#idIn(await this.#call('POST', path, { schema }, subject), subject)
  }

  #idIn(answer: unknown, subject: string): number {
    const id = (answer as { id?: unknown } | null)?.id
    if (typeof id !== 'number') throw this.#invalid(`its answer for ${subject} has no schema id`)
    return id
  }

  /** The registry's JSON; null where it answered that there is no such schema, version or subject. `subject` where it is written to. */
  async #call(method: 'GET' | 'POST', path: string, body?: object, subject?: string): Promise<unknown> {
    const answer = await this.#http.call(method, path, body)
    const problem = registryProblem(this.description, answer, this.#hasAnswered)
    if (problem === null) {
      this.#hasAnswered = true
      return answer.json
    }
    if (problem === 'not-found' || problem === 'incompatible' || problem === 'refused') {
      this.#hasAnswered = true
      return this.#answered(problem, answer, body, subject)
    }
    throw problem
  }

  async #answered(
    problem: RegistryProblem,
    answer: RegistryAnswer,
    body: object | undefined,
    subject: string | undefined,
  ): Promise<null> {
    if (problem === 'not-found' && subject === undefined) return null
    if (problem === 'incompatible' && subject !== undefined) {
      throw schemaIncompatible(this.description, subject, answer, await this.#reasons(subject, body))
    }
    throw schemaRefused(this.description, subject, answer)
  }

  /** Why the newest version of the subject does not go with the schema; not every registry says so in its refusal. */
  async #reasons(subject: string, body: object | undefined): Promise<readonly string[]> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest?verbose=true`
    const { json } = await this.#http.call('POST', path, body).catch(() => ({ json: undefined }))
    const messages = (json as { messages?: unknown } | undefined)?.messages
    return Array.isArray(messages) ? messages.filter((message) => typeof message === 'string') : []
  }

  #parse(schema: unknown): unknown {
    try {
      if (typeof schema === 'string') return JSON.parse(schema)
    } catch {
      // As where there is none.
    }
    throw this.#invalid('a schema of its answer is not JSON')
  }

  #invalid(what: string): PipelineError {
    return notARegistry(this.description, what, this.#hasAnswered)
  }
}

interface SchemaAnswer {
  readonly schema?: unknown
  /** Left out where it is AVRO. */
  readonly schemaType?: unknown
  readonly references?: unknown
}

interface Reference {
  readonly subject: string
  readonly version: number
}

/** Credentials in the URL are taken out of it, so that no message has them. */
function parseUrl({ url: text, auth }: ConfluentRegistryOptions): {
  readonly url: URL
  readonly auth: RegistryAuth | null
  readonly description: string
} {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw badUrl('it is not a URL', cause)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw badUrl(`it begins with ${url.protocol}`, undefined)
  }
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  const own =
    username === ''
      ? null
      : { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  return { url, auth: auth ?? own, description: url.href.replace(/\/$/, '') }
}

function badUrl(what: string, cause: unknown): PipelineError {
  return new PipelineError('OPTION_INVALID', `the URL of the schema registry cannot be used: ${what}`, {
    cause,
    advice: 'Give one like http://localhost:8081, with the path where the registry has one.',
  })
}
