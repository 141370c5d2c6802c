import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { kafkaFault, protocolFault } from '../../src/kafka/client.ts'

/** kafkajs's own errors: those that it exports are types only. */
const errors = createRequire(import.meta.url)('kafkajs/src/errors') as Record<
  string,
  new (
    message: unknown,
    options?: object,
  ) => Error
>
const thrown = (name: string, message: unknown, options?: object): Error =>
  new errors[name]!(message, options)
const context = { what: 'read trips-3', topic: 'trips', groupId: 'taxi' }
const codeOf = (error: unknown): [string, boolean] => {
  const fault = kafkaFault(error, context)
  return [fault.code, fault.retryable]
}

describe('what kafkajs throws', () => {
  const closed = thrown('KafkaJSConnectionClosedError', 'Closed connection')

  it('is an outage where a connection is lost, also inside its own retries and its own authentication', () => {
    expect(codeOf(closed)).toEqual(['KAFKA_UNREACHABLE', true])
    expect(codeOf(thrown('KafkaJSNumberOfRetriesExceeded', closed, { retryCount: 2 }))).toEqual([
      'KAFKA_UNREACHABLE',
      true,
    ])
    expect(codeOf(thrown('KafkaJSNonRetriableError', closed, { cause: closed }))).toEqual([
      'KAFKA_UNREACHABLE',
      true,
    ])
    expect(codeOf(thrown('KafkaJSRequestTimeoutError', 'Request Fetch timed out'))).toEqual([
      'KAFKA_UNREACHABLE',
      true,
    ])
    const message = 'SASL PLAIN authentication failed: Closed connection'
    expect(codeOf(thrown('KafkaJSSASLAuthenticationError', message))).toEqual(['KAFKA_UNREACHABLE', true])
  })

  it('is a wrong password where it is one', () => {
    const message = 'SASL PLAIN authentication failed: Authentication failed: Invalid username or password'
    expect(codeOf(thrown('KafkaJSSASLAuthenticationError', message))).toEqual(['KAFKA_AUTHENTICATION', false])
  })

  it('keeps the broker’s own word on whether waiting helps', () => {
    const protocol = (type: string, retriable: boolean): Error =>
      thrown('KafkaJSProtocolError', { type, code: 1, retriable, message: 'why' })
    expect(codeOf(protocol('NOT_LEADER_FOR_PARTITION', true))).toEqual(['KAFKA_UNAVAILABLE', true])
    expect(codeOf(protocol('INVALID_TXN_STATE', false))).toEqual(['KAFKA_FAILED', false])
    expect(codeOf(protocol('TOPIC_AUTHORIZATION_FAILED', false))).toEqual(['KAFKA_AUTHORIZATION', false])
  })

  it('leaves what is ours as it is, and a stranger’s error final', () => {
    const ours = new PipelineError('OUTBOX_FENCED', 'fenced')
    expect(kafkaFault(ours, context)).toBe(ours)
    expect(codeOf(new TypeError('undefined is not a function'))).toEqual(['KAFKA_FAILED', false])
  })
})

describe('what a broker answers', () => {
  it('names what it was about', () => {
    const group = protocolFault(30, { what: 'join group taxi', groupId: 'taxi' })
    expect([group.code, group.retryable]).toEqual(['KAFKA_AUTHORIZATION', false])
    expect(group.advice).toContain('the consumer group taxi')
    const moving = protocolFault(16, context)
    expect(moving.message).toBe('cannot read trips-3: the broker says NOT_COORDINATOR')
    expect(moving.retryable).toBe(true)
    expect(protocolFault(1234, context).message).toContain('error 1234')
  })
})
