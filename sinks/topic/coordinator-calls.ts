import type { CoordinatorType, FaultContext, KafkaClient, RawRequest } from '../../src/kafka/client.ts'

/** Requests to the coordinator of one group or transactional id, wherever it moves. Nothing is tried again in here. */
export class CoordinatorCalls {
  readonly #client: KafkaClient
  readonly #key: string
  readonly #type: CoordinatorType
  #nodeId: number | null = null

  constructor(client: KafkaClient, key: string, type: CoordinatorType) {
    this.#client = client
    this.#key = key
    this.#type = type
  }

  /** Throws what `KafkaClient.send` throws. `isRefusal` says of an answer that the coordinator is elsewhere, or not ready. */
  async send<T>(
    request: RawRequest<T>,
    context: FaultContext,
    isRefusal: (answer: T) => boolean,
  ): Promise<T> {
    try {
      this.#nodeId ??= await this.#client.coordinator(this.#key, this.#type)
      const answer = await this.#client.send(this.#nodeId, request, context)
      if (isRefusal(answer)) this.#nodeId = null
      return answer
    } catch (error) {
      this.#nodeId = null
      throw error
    }
  }
}

const REFUSALS = new Set([
  15, // COORDINATOR_NOT_AVAILABLE
  16, // NOT_COORDINATOR
])

export function isRefusal(code: number): boolean {
  return REFUSALS.has(code)
}
