import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { createTopic, findKafka, findKafkaPackages, startKafka } from '../../parts/kafka.ts'
import { joinGroupRequest } from '../../../consumers/kafka/group-requests.ts'
import { Prng } from '../../../src/testing/simulation/prng.ts'
import { Journal, TestMember } from './group-kit.ts'

const kafka = await findKafka()

describe.skipIf(kafka.kind === 'missing')('a consumer group', () => {
  const brokers = kafka.kind === 'ready' ? kafka.brokers : ''
  let members: TestMember[] = []

  afterEach(async () => {
    for (const member of members) member.resume()
    await Promise.all(members.map((member) => member.leave()))
    members = []
  })

  async function newGroup(partitions: number) {
    const topic = `group-${randomBytes(4).toString('hex')}`
    await createTopic(brokers, topic, { partitions })
    const journal = new Journal()
    const newMember = (name: string, options = {}): TestMember => {
      const member = new TestMember(name, journal, brokers, { topic, groupId: topic, ...options })
      members.push(member)
      return member
    }
    return { topic, journal, newMember, task: (partition: number) => `${topic}-${partition}` }
  }

  const total = () => members.reduce((sum, { running }) => sum + running.length, 0)
  const sizes = () => members.map(({ running }) => running.length)

  it('gives everything to one, and half of it to the next, after the first has let it go', async () => {
    const { journal, newMember, task } = await newGroup(4)
    const a = await newMember('a').join(['merge-0'])
    expect(a.running).toEqual([task(0), task(1), task(2), task(3), 'merge-0'])
    let letGo = (): void => {}
    a.release = new Promise((resolve) => (letGo = resolve))
    const b = await newMember('b').join(['merge-0'])
    // It is in, and has nothing yet, while the first is still at work.
    expect(b.running).toEqual([])
    await journal.until(() => journal.of('a', 'revoking').length > 0)
    expect(a.running).toHaveLength(5)
    letGo()
    await journal.until(() => b.running.length === 2)
    expect(a.running).toEqual([task(0), task(1), 'merge-0'])
    expect(b.running).toEqual([task(2), task(3)])
    const told = journal.events.map(({ member, kind }) => `${member} ${kind}`)
    // When the newcomer hears that there is nothing for it yet has no place in this order.
    told.splice(told.indexOf('b assigned'), 1)
    expect(told).toEqual(['a assigned', 'a revoking', 'a revoked', 'a assigned', 'b assigned'])
  })

  it('comes to rest with three members, and gives what one leaves to the others at once', async () => {
    const { journal, newMember } = await newGroup(6)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => newMember(name)) as [TestMember, TestMember, TestMember]
    await Promise.all([a.join(), b.join(), c.join()])
    await journal.until(() => total() === 6 && Math.max(...sizes()) === 2)
    const kept = [...a.running, ...b.running]
    await c.leave()
    members = [a, b]
    await journal.until(() => total() === 6)
    expect(sizes()).toEqual([3, 3])
    expect([...a.running, ...b.running]).toEqual(expect.arrayContaining(kept))
    expect(journal.events.filter(({ kind }) => kind === 'lost' || kind === 'failed')).toEqual([])
  })

  it('gives what a dead member had to the others when its session has ended', async () => {
    const { journal, newMember } = await newGroup(4)
    const a = await newMember('a').join()
    const b = await newMember('b').join()
    await journal.until(() => b.running.length === 2)
    await a.die()
    await journal.until(() => b.running.length === 4)
    expect(journal.of('b', 'revoking')).toEqual([])
  })

  it('tells a member that was paused that it is out, and takes it in again', async () => {
    const { journal, newMember } = await newGroup(4)
    const a = await newMember('a').join()
    const b = await newMember('b').join()
    await journal.until(() => b.running.length === 2)
    expect(await a.membership.confirm()).toBe(true)
    a.pause()
    await journal.until(() => b.running.length === 4)
    // It does not know yet; whoever asks is told.
    expect(a.running).toHaveLength(2)
    expect(await a.membership.confirm()).toBe(false)
    a.resume()
    await journal.until(
      () => a.running.length === 2 && b.running.length === 2 && journal.of('a', 'lost').length > 0,
    )
    expect(await a.membership.confirm()).toBe(true)
    const after = journal.events.slice(journal.events.findIndex(({ kind }) => kind === 'lost'))
    const told = after.map(({ member, kind }) => `${member} ${kind}`)
    // Nobody was given anything before the other had let it go.
    expect(told.indexOf('b revoked')).toBeLessThan(told.lastIndexOf('a assigned'))
  })

  it('notices added partitions, and tells every member of them', async () => {
    const { topic, journal, newMember } = await newGroup(2)
    const a = await newMember('a').join()
    const b = await newMember('b').join()
    await journal.until(() => b.running.length === 1)
    const admin = a.client.admin()
    await admin.connect()
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] })
    await admin.disconnect()
    const knowsAll = (member: string) =>
      journal.events.some((event) => event.member === member && event.kind === 'assigned' && event.all === 5)
    await journal.until(() => total() === 5 && knowsAll('a') && knowsAll('b'))
    expect(Math.max(...sizes())).toBe(3)
    expect([...journal.of('a', 'revoking').slice(1), ...journal.of('b', 'revoking')]).toEqual([])
  })

  it('lets a member that cannot let go keep its peers waiting only so long', async () => {
    const { journal, newMember } = await newGroup(2)
    const a = newMember('a', { times: { releaseMs: 300 } })
    await a.join()
    a.release = new Promise(() => {})
    const b = await newMember('b').join()
    await journal.until(() => b.running.length === 1)
    expect(a.running).toHaveLength(1)
    expect(journal.of('a', 'revoked')).toEqual([])
  })

  it('gives a static member its tasks back after a restart, and nobody else has them meanwhile', async () => {
    const { journal, newMember } = await newGroup(4)
    const a = await newMember('a', { instanceId: 'one', times: { sessionTimeoutMs: 20_000 } }).join()
    const b = await newMember('b').join()
    await journal.until(() => b.running.length === 2)
    const before = a.running
    await a.leave()
    const again = await newMember('again', { instanceId: 'one', times: { sessionTimeoutMs: 20_000 } }).join()
    expect(again.running).toEqual(before)
    expect(journal.of('b', 'assigned')).toHaveLength(2)
  })

  it('ends the run of a static member whose name another process has taken', async () => {
    const { journal, newMember } = await newGroup(2)
    await newMember('a', { instanceId: 'one' }).join()
    await newMember('twin', { instanceId: 'one' }).join()
    await journal.until(() => journal.of('a', 'failed').length > 0)
    expect(journal.of('a', 'failed')).toMatchObject([{ error: { code: 'GROUP_INSTANCE_FENCED' } }])
  })

  it('refuses a group that another kind of consumer is in', async () => {
    const { topic, newMember } = await newGroup(1)
    const a = newMember('a')
    const name = { groupId: topic, instanceId: null, sessionTimeoutMs: 5_000, rebalanceTimeoutMs: 5_000 }
    const join = { ...name, protocol: 'range', subscription: Buffer.alloc(0), timeoutMs: 5_000 }
    const send = async (memberId: string) =>
      a.client.send(await a.client.coordinator(topic, 'group'), joinGroupRequest({ ...join, memberId }), {
        what: 'join',
      })
    await until(
      async () => send((await send('')).memberId),
      ({ errorCode }) => errorCode === 0,
    )
    await expect(a.join()).rejects.toMatchObject({ code: 'GROUP_MISMATCH', retryable: false })
  })

  it('shows its members and how far they have published to Kafka’s own tool', async () => {
    const { topic, newMember } = await newGroup(2)
    const a = await newMember('reader').join(['merge-0'])
    const show = (partition: number, offset: string) =>
      a.membership.showPublished({ clusterId: '', groupId: topic, topic, partition, offset })
    show(0, '7')
    show(0, '9')
    show(1, '4000000000')
    const text = await until(
      () => describeGroup(topic),
      (text) => / 9 .*reader/.test(text),
    )
    const rows = text.split('\n').map((line) => line.trim().split(/\s+/).slice(0, 4))
    expect(rows).toContainEqual([topic, topic, '0', '9'])
    expect(rows).toContainEqual([topic, topic, '1', '4000000000'])
  })

  it('never has a task run by two who are awake, whoever comes and goes', async () => {
    const { journal, newMember } = await newGroup(5)
    const seed = randomBytes(4).readUInt32BE()
    const random = new Prng(seed)
    let awake: TestMember[] = []
    const conflicts: string[] = []
    journal.watch = () => {
      const running = awake.flatMap(({ running }) => running)
      conflicts.push(...running.filter((task, index) => running.indexOf(task) !== index))
    }
    for (let step = 0; step < 14; step++) {
      if (awake.length < 2 || (awake.length < 4 && random.chance(0.5))) {
        const member = newMember(`m${step}`)
        awake.push(member)
        await member.join(['merge-0', 'merge-1'])
      } else {
        const member = random.pick(awake)
        awake = awake.filter((other) => other !== member)
        await random.pick([() => member.leave(), () => member.die(), async () => member.pause()])()
      }
    }
    const even = (): boolean => {
      const sizes = awake.map(({ running }) => running.length)
      return sizes.reduce((sum, size) => sum + size) === 7 && Math.max(...sizes) - Math.min(...sizes) <= 1
    }
    await journal.until(even)
    expect(conflicts, `seed ${seed}`).toEqual([])
    expect(journal.events.filter(({ kind }) => kind === 'failed')).toEqual([])
  })

  async function describeGroup(group: string): Promise<string> {
    if (packages.kind === 'missing') throw new Error(packages.reason)
    const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
    const args = ['--bootstrap-server', brokers, '--describe', '--group', group]
    const classes = ['-Xmx128m', '-cp', join(packages.folder, 'lib/*'), tool]
    return (await promisify(execFile)(packages.java, [...classes, ...args])).stdout
  }

  async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
    for (;;) {
      const answer = await ask()
      if (holds(answer)) return answer
    }
  }
})

const packages = await findKafkaPackages()

describe.skipIf(packages.kind === 'missing')('a consumer group whose broker is killed', () => {
  it('keeps its tasks, and has its members back when the broker is', async () => {
    const broker = await startKafka()
    const journal = new Journal()
    await createTopic(broker.brokers, 'trips', { partitions: 4 })
    const options = { topic: 'trips', groupId: 'trips', times: { sessionTimeoutMs: 6_000 } }
    const members = ['a', 'b'].map((name) => new TestMember(name, journal, broker.brokers, options))
    const [a, b] = members as [TestMember, TestMember]
    try {
      await Promise.all([a.join(), b.join()])
      await journal.until(() => a.running.length === 2 && b.running.length === 2)
      const told = journal.events.length
      await broker.kill()
      expect(await a.membership.confirm()).toBe(false)
      await broker.restart()
      while (!(await a.membership.confirm()) || !(await b.membership.confirm()));
      expect(journal.events.slice(told)).toEqual([])
      await b.leave()
      await journal.until(() => a.running.length === 4)
    } finally {
      await Promise.all(members.map((member) => member.leave()))
      await broker.dispose()
    }
  })
})
