import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { confluentRegistry } from '../../consumers/registry/index.ts'
import { faultServer, json } from '../consumers/registry/fault-server.ts'
import { findRegistry } from '../parts/registry.ts'
import { runCli } from './run-cli.ts'

const found = await findRegistry()
const url = found.kind === 'ready' ? found.url : ''
const STARTER = new URL('../../examples/starter/', import.meta.url).pathname
const ORDER = readFileSync(`${STARTER}recordings/registry/1-order.avsc`, 'utf8')

describe.skipIf(found.kind === 'missing')('millrace check, with a registry', () => {
  it('asks whether every version of the subject can be read', async () => {
    const topic = `orders-${randomUUID()}`
    const registry = confluentRegistry({ url })
    const good = await registry.register(`${topic}-value`, ORDER)
    const check = ['check', 'orders.ts', '--topic', topic, '--registry', url]
    expect(await runCli(check, { cwd: STARTER })).toMatchObject({
      code: 0,
      out: expect.stringContaining(`schema ${good} can be read`) as string,
    })
    const without = { ...(JSON.parse(ORDER) as object), fields: [{ name: 'orderId', type: 'string' }] }
    const bad = await registry.register(`${topic}-value`, JSON.stringify(without))
    expect(await runCli(check, { cwd: STARTER })).toMatchObject({
      code: 2,
      out: expect.stringMatching(
        new RegExp(`!!  schema ${bad}: .*dead letters \\(incompatible-schema\\)`),
      ) as string,
    })
  })

  it('wants to know what to ask, and whom', async () => {
    expect(await runCli(['check', 'orders.ts', '--topic', 'orders'], { cwd: STARTER })).toMatchObject({
      code: 2,
      err: expect.stringContaining('no registry is named') as string,
    })
  })
})

describe('millrace check, with a registry that was reset', () => {
  it('finds that it has another schema under the id of a recording', async () => {
    const server = await faultServer((_, response) => json(response, 200, { schema: '"string"' }))
    const result = await runCli(
      ['check', 'orders.ts', '--recording', 'recordings/orders.avro', '--registry', server.url],
      { cwd: STARTER },
    )
    expect(result.out).toMatch(/schema 1 of http:.* is not the one in recordings\/registry: another registry/)
    expect(result.code).toBe(2)
  })
})
