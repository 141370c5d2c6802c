import { describe, expect, it } from 'vitest'
import { credentialsFor, type CredentialsProvider, Renewal } from '../../src/kinesis/credentials.ts'
import type { AwsCredentials } from '../../src/kinesis/options.ts'
import { StepClock } from './step-clock.ts'

const named = (accessKeyId: string, expiration?: Date): AwsCredentials => ({
  accessKeyId,
  secretAccessKey: 'secret',
  ...(expiration === undefined ? {} : { expiration }),
})

describe('credentials that a function gives', () => {
  it('are asked for seldom while their end is near, and at once when it has come or they were refused', async () => {
    const clock = new StepClock()
    let asked = 0
    const endsMs = clock.nowMs() + 25_000
    const provider = credentialsFor(
      { credentials: async () => named(`key-${++asked}`, new Date(endsMs)) },
      clock,
    ) as CredentialsProvider
    for (let second = 0; second < 24; second++) {
      await provider()
      await clock.advance(1_000)
    }
    expect(asked).toBe(3)
    await clock.advance(1_000)
    await provider()
    expect(asked).toBe(4)
    await provider({ forceRefresh: true })
    expect(asked).toBe(5)
  })

  it('are missed with the reason, whatever the function throws or gives', async () => {
    const clock = new StepClock()
    const of = (credentials: () => Promise<AwsCredentials>): CredentialsProvider =>
      credentialsFor({ credentials }, clock) as CredentialsProvider
    await expect(of(() => Promise.reject(new TypeError('no vault')))()).rejects.toMatchObject({
      name: 'CredentialsProviderError',
      message: 'no vault',
    })
    await expect(of(async () => ({ accessKeyId: 'only' }) as AwsCredentials)()).rejects.toThrow(
      'it must resolve to { accessKeyId, secretAccessKey',
    )
    const text = { ...named('key'), expiration: '2026-11-23T18:00:00Z' as unknown as Date }
    await expect(of(async () => text)()).rejects.toThrow('new Date("2026-11-23T18:00:00Z")')
  })
})

describe('credentials that were refused', () => {
  function world(options: { readonly isFunction?: boolean; readonly expiration?: Date } = {}) {
    const clock = new StepClock()
    const facts = { held: named('old'), next: named('new', options.expiration), forced: 0, isAway: false }
    const provider: CredentialsProvider = async (asked) => {
      if (asked?.forceRefresh !== true) return facts.held
      facts.forced++
      if (facts.isAway) throw new Error('nobody is there')
      return (facts.held = facts.next)
    }
    const kinesis = options.isFunction === true ? { credentials: async () => facts.next } : {}
    return { clock, facts, renewal: new Renewal(provider, kinesis, clock) }
  }

  it('are asked for once by all requests that were refused together, and by those that hear of it late', async () => {
    const { facts, renewal } = world()
    const refused = facts.held
    const outcomes = await Promise.all([1, 2, 3].map(() => renewal.renew(refused)))
    expect([...outcomes, await renewal.renew(refused)]).toEqual(Array(4).fill('renewed'))
    expect(facts.forced).toBe(1)
  })

  it('may come later from a function, or where they have an end, or when whoever gives them is back', async () => {
    const byFunction = world({ isFunction: true })
    byFunction.facts.next = named('old')
    expect(await byFunction.renewal.renew(named('old'))).toBe('later')
    const ending = world()
    ending.facts.held = ending.facts.next = named('old', new Date(2_000_000_000_000))
    expect(await ending.renewal.renew(named('old'))).toBe('later')
    const away = world()
    away.facts.isAway = true
    expect(await away.renewal.renew(named('old'))).toBe('later')
  })

  it('never come where the same ones come without an end', async () => {
    const { facts, renewal } = world()
    facts.next = named('old')
    expect(await renewal.renew(named('old'))).toBe('never')
  })

  it('are asked for once a second, however many requests are refused', async () => {
    const { clock, facts, renewal } = world({ isFunction: true })
    facts.next = named('old')
    for (let tries = 0; tries < 50; tries++) {
      await renewal.renew(named('old'))
      await clock.advance(100)
    }
    expect(facts.forced).toBe(5)
  })
})
