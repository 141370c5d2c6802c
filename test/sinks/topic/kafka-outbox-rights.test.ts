import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import kafkajs, { type AclOperationTypes, type AclResourceTypes } from 'kafkajs'
import { KafkaOutbox } from '../../../sinks/topic/kafka-outbox.ts'
import { resolveTopicOptions } from '../../../sinks/topic/outbox-options.ts'
import { createTopic, findKafkaPackages, type Kafka, startKafka } from '../../parts/kafka.ts'
import { codeOf, epochOf, kafkaOf, newOwner, uniqueName, valuesIn, WORLD } from './outbox-kit.ts'

// kafkajs is CommonJS: its enums come with the default.
const { AclOperationTypes: May, AclPermissionTypes, AclResourceTypes: Of, ResourcePatternTypes } = kafkajs

const packages = await findKafkaPackages()

const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret";'
const SECURED = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
  'listener.name.secure.sasl.enabled.mechanisms': 'PLAIN',
  'listener.name.secure.plain.sasl.jaas.config': PLAIN,
}

describe.skipIf(packages.kind === 'missing')('an outbox whose rights are limited', () => {
  let kafka: Kafka
  const admin = () => kafkaOf(kafka.brokers).admin()

  beforeAll(async () => {
    const listeners = [{ name: 'SECURE', protocol: 'SASL_PLAINTEXT' as const }]
    kafka = await startKafka({ properties: SECURED, listeners })
  })

  afterAll(async () => {
    await kafka.dispose()
  })

  async function allow(
    resourceType: AclResourceTypes,
    resourceName: string,
    operation: AclOperationTypes,
  ): Promise<void> {
    const client = admin()
    await client.connect()
    await client.createAcls({
      acl: [
        {
          resourceType,
          resourceName,
          resourcePatternType: ResourcePatternTypes.LITERAL,
          principal: 'User:alice',
          host: '*',
          operation,
          permissionType: AclPermissionTypes.ALLOW,
        },
      ],
    })
    await client.disconnect()
  }

  function outboxOf(password = 'secret'): KafkaOutbox {
    const kafkaOptions = {
      brokers: [kafka.listener('SECURE')],
      sasl: { mechanism: 'plain' as const, username: 'alice', password },
    }
    const resolved = resolveTopicOptions(kafkaOptions)
    return new KafkaOutbox({ ...resolved, kafka: kafkaOptions, registry: null, world: WORLD, kind: 'dlq' })
  }

  test('says what it lacks before anything is recorded, one thing after the other', async () => {
    const topic = uniqueName('dead')
    await createTopic(kafka.brokers, topic)
    const owner = newOwner()
    const id = `millrace-${owner.pipeline}-${owner.task}-dlq`
    const outbox = outboxOf()
    const tryOpen = () => codeOf(outbox.open([topic], []))
    const tryClaim = () => codeOf(outbox.claim(owner.pipeline, owner.task))

    expect(await tryOpen()).toBe('TOPIC_FORBIDDEN')
    await allow(Of.TOPIC, topic, May.DESCRIBE)
    expect(await tryOpen()).toBe('TOPIC_FORBIDDEN')
    await allow(Of.TOPIC, topic, May.WRITE)
    expect(await tryOpen()).toBe('TOPIC_FORBIDDEN')
    await allow(Of.TOPIC, topic, May.READ)
    // Without DescribeConfigs the limits are not known: Kafka's defaults are assumed.
    expect(await tryOpen()).toBe('resolved')
    expect(outbox.messageBytesMax).toBeGreaterThan(1_000_000)

    expect(await tryClaim()).toBe('KAFKA_AUTHORIZATION')
    await allow(Of.TRANSACTIONAL_ID, id, May.WRITE)
    expect(await tryClaim()).toBe('KAFKA_AUTHORIZATION')
    await allow(Of.GROUP, id, May.DESCRIBE)
    expect(await tryClaim()).toBe('KAFKA_AUTHORIZATION')
    await allow(Of.GROUP, id, May.READ)
    const task = await outbox.claim(owner.pipeline, owner.task)
    const client = admin()
    await client.connect()
    const { clusterId } = await client.describeCluster()
    await client.disconnect()
    // The users' group may be another team's: what is shown there is not worth a stop.
    const groupOffset = { clusterId, groupId: 'no-rights', topic, partition: 0, offset: '1' }
    await task.publish(epochOf(owner, topic, 1, ['a'], { groupOffset }))
    await outbox.close()
    expect(await valuesIn(kafka.brokers, topic)).toEqual(['a'])
  })

  test('refuses wrong credentials and a listener that wants some', async () => {
    const wrong = outboxOf('wrong')
    expect(await codeOf(wrong.open(['any'], []))).toBe('KAFKA_AUTHENTICATION')
    await wrong.close()
  })
})
