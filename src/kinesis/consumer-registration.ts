import { PipelineError } from '../errors.ts'
import type { ConsumerFacts, StreamFacts } from './api.ts'
import { StrangeAnswer } from './failure.ts'
import type { KinesisRequests } from './requests.ts'
import {
  DeregisterStreamConsumerCommand,
  DescribeStreamConsumerCommand,
  RegisterStreamConsumerCommand,
} from './sdk.ts'
import type { Waiting } from './waiting.ts'

/** Consumers of enhanced fan-out: registered once, and left there, because each process of a pipeline uses the same. */
export class ConsumerRegistration {
  readonly #requests: KinesisRequests
  readonly #waiting: Waiting

  constructor(requests: KinesisRequests, waiting: Waiting) {
    this.#requests = requests
    this.#waiting = waiting
  }

  /** Looks first: registering is allowed five times a second, and needs a right of its own that a pipeline whose consumer is there need not have. */
  async register(stream: StreamFacts, name: string): Promise<ConsumerFacts> {
    return await this.#waiting.until(`consumer ${name} of stream ${stream.stream}`, async () => {
      const known = await this.#describe(stream, name)
      switch (known?.status) {
        case 'ACTIVE':
          return { name, arn: known.arn }
        case undefined:
          await this.#register(stream, name)
          return null
        default:
          // On its way, or on its way out: then it is registered again when it is gone.
          return null
      }
    })
  }

  async deregister({ name, arn }: ConsumerFacts): Promise<void> {
    const place = { operation: 'DeregisterStreamConsumer', stream: streamOf(arn), consumer: name }
    await unlessMissing(
      this.#requests.send(place, (client) =>
        client.send(new DeregisterStreamConsumerCommand({ ConsumerARN: arn })),
      ),
    )
  }

  async #describe(
    { stream, arn }: StreamFacts,
    name: string,
  ): Promise<{ readonly arn: string; readonly status: string } | null> {
    const place = { operation: 'DescribeStreamConsumer', stream, consumer: name }
    return await unlessMissing(
      this.#requests.send(place, async (client) => {
        const command = new DescribeStreamConsumerCommand({ StreamARN: arn, ConsumerName: name })
        const { ConsumerDescription: consumer } = await client.send(command)
        if (consumer?.ConsumerARN === undefined || consumer.ConsumerStatus === undefined) {
          throw new StrangeAnswer('a consumer without ARN or status')
        }
        return { arn: consumer.ConsumerARN, status: consumer.ConsumerStatus }
      }),
    )
  }

  /** Where another process does so at the same time, one of them is told ResourceInUse, and all of them wait. */
  async #register({ stream, arn }: StreamFacts, name: string): Promise<void> {
    const place = { operation: 'RegisterStreamConsumer', stream, consumer: name }
    await this.#requests.send(place, (client) =>
      client.send(new RegisterStreamConsumerCommand({ StreamARN: arn, ConsumerName: name })),
    )
  }
}

async function unlessMissing<Answer>(answer: Promise<Answer>): Promise<Answer | null> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'STREAM_NOT_FOUND') return null
    throw error
  }
}

/** arn:aws:kinesis:eu-west-1:123456789012:stream/trips/consumer/taxi:1700000000 */
export function streamOf(consumerArn: string): string {
  return /:stream\/([^/]+)\/consumer\//.exec(consumerArn)?.[1] ?? consumerArn
}
