import { describe, expect, test } from 'vitest'
import { PipelineError } from '../../src/errors.ts'
import { createLog, type LogOptions } from '../../src/runtime/log.ts'

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({ level: 'info', pretty: false, write: (line) => lines.push(line), ...options })
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> }
}

describe('the log', () => {
  test('writes one JSON object a line, with the fields of its parents', () => {
    const { log, lines, last } = capture({ bindings: { run: 'r1' } })
    log.child({ task: 'frames-0' }).info({ epoch: 7 }, 'epoch recorded')
    expect(lines[0]!.endsWith('\n')).toBe(true)
    expect(last()).toMatchObject({
      level: 'info',
      run: 'r1',
      task: 'frames-0',
      epoch: 7,
      msg: 'epoch recorded',
    })
    expect(last()['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(last()).not.toHaveProperty('pid')
  })

  test('leaves out what is below its level', () => {
    const { log, lines } = capture({ level: 'warn' })
    log.debug({}, 'a')
    log.info({}, 'b')
    log.warn({}, 'c')
    log.error({}, 'd')
    expect(lines).toHaveLength(2)
  })

  test('shows no secret, at any depth, in any spelling', () => {
    const { log, lines } = capture({ bindings: { broker: { sasl: { username: 'u', password: 'hunter2' } } } })
    log.child({ AUTHORIZATION: 'hunter2' }).warn(
      {
        config: { nested: [{ clientSecret: 'hunter2' }, { 'api-key': 'hunter2' }], credentials: ['hunter2'] },
        accessToken: 'hunter2',
        url: 'https://me:hunter2@registry.example/subjects',
        kept: 'topic',
      },
      'connecting',
    )
    expect(lines.join('')).not.toContain('hunter2')
    expect(lines.join('')).toContain('"kept":"topic"')
    expect(lines.join('')).toContain('@registry.example/subjects')
  })

  test('shows errors with code and cause, without what a client has hung on them', () => {
    const { log, last } = capture()
    const cause = Object.assign(new Error('401 for https://me:hunter2@host/x'), {
      request: { token: 'hunter2' },
    })
    log.error({ err: new PipelineError('REGISTRY_DOWN', 'no answer', { cause }) }, 'failed')
    expect(last()['err']).toMatchObject({
      code: 'REGISTRY_DOWN',
      message: 'no answer',
      cause: { type: 'Error' },
    })
    expect(JSON.stringify(last())).not.toContain('hunter2')
  })

  test('takes bigints and bytes, which JSON does not know', () => {
    const { log, last } = capture()
    log.info({ offset: 12n, key: new Uint8Array(3) }, 'x')
    expect(last()).toMatchObject({ offset: 12, key: '[3 bytes]' })
  })

  test('writes lines for a person', () => {
    const { log, lines } = capture({ pretty: true })
    log.warn({ epoch: 7 }, 'slow put')
    expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\] WARN: slow put \{"epoch":7\}\n$/)
  })
})
