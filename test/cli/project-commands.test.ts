import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { project } from './project.ts'
import { folderWith, runCli } from './run-cli.ts'

describe('the commands for projects, schemas and recordings', () => {
  test('init makes a project that can be checked and replayed, in an empty folder only', async () => {
    const cwd = folderWith({})
    const made = await runCli(['init', 'My Café'], { cwd })
    expect(made).toMatchObject({ code: 0, err: '' })
    const at = join(cwd, 'My Café')
    expect(readdirSync(at).sort()).toEqual(
      [
        '.gitignore',
        'README.md',
        'orders.ts',
        'package.json',
        'recordings',
        'schemas',
        'test',
        'tsconfig.json',
      ].sort(),
    )
    const manifest = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as Record<
      string,
      Record<string, unknown>
    >
    expect(manifest).toMatchObject({
      name: 'my-caf',
      type: 'module',
      devDependencies: { node: expect.stringMatching(/^24\./) },
    })
    expect(
      existsSync(
        join(at, String(manifest['dependencies']!['millrace']).replace('file:', ''), 'package.json'),
      ),
    ).toBe(true)

    const [checked, replayed, twice] = await Promise.all([
      runCli(['check', 'orders.ts', '--recording', 'recordings/orders.avro'], { cwd: at }),
      runCli(['replay', 'orders.ts'], { cwd: at }),
      runCli(['init', at]),
    ])
    expect(checked).toMatchObject({ code: 0, out: expect.stringContaining('ok  schema 1 can be read') })
    expect(replayed.code, replayed.err).toBe(0)
    expect(twice).toMatchObject({ code: 2, err: expect.stringContaining('is not empty') })
  })

  test('check finds schemas that the program cannot read', async () => {
    const cwd = project()
    const schema = JSON.parse(readFileSync(join(cwd, 'recordings/registry/1-order.avsc'), 'utf8')) as {
      fields: { name: string }[]
    }
    schema.fields = schema.fields.filter(({ name }) => name !== 'price')
    writeFileSync(join(cwd, 'recordings/registry/1-order.avsc'), JSON.stringify(schema))
    const { code, out } = await runCli(['check', 'orders.ts', '--recording', 'recordings/orders.avro'], {
      cwd,
    })
    expect(code).toBe(2)
    expect(out).toMatch(/!! {2}schema 1: .*price.*dead letters \(incompatible-schema\)/)
  })

  test('describe prints the plan', async () => {
    const { code, out } = await runCli(['describe', 'orders.ts'], { cwd: project() })
    expect(code).toBe(0)
    expect(out).toMatch(/^pipeline cafe\n[\s\S]*gold\/shop_quarters/)
  })

  test('recordings are made and shown', async () => {
    const cwd = project()
    const schema = ['--schema', 'recordings/registry/1-order.avsc', '--topic', 'orders']
    const make = ['recording', 'make', 'new.avro', '--jsonl', 'recordings/orders.jsonl', ...schema]
    const made = await runCli([...make, '--arrival', 'arrivedAt', '--key', 'shop', '--partitions', '2'], {
      cwd,
    })
    expect(made).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^new\.avro: 163 records in 2 partitions, /),
    })
    expect(readFileSync(join(cwd, 'new.avro'))).toEqual(readFileSync(join(cwd, 'recordings/orders.avro')))

    const [info, head, noTime, noKey] = await Promise.all([
      runCli(['recording', 'info', 'recordings/orders.avro'], { cwd }),
      runCli(['recording', 'head', 'recordings/orders.avro', '-n', '1'], { cwd }),
      runCli(make, { cwd }),
      runCli([...make, '--arrival', 'arrivedAt', '--partitions', '2'], { cwd }),
    ])
    expect(info.out).toMatch(/ orders +0 +82 +0 – 81 +2024-05-13 06:32:59Z /)
    expect(head.out).toMatch(
      /^orders\/1\/0\n {2}arrived +2024-05-13T06:31:17\.710Z\n[\s\S]*"orderId": "A-1001"/,
    )
    expect(noTime).toMatchObject({ code: 2, err: expect.stringContaining('--arrival') })
    expect(noKey).toMatchObject({ code: 2, err: expect.stringContaining('--partition-by') })
  })

  test('a damaged recording is shown as far as it goes, and is a failure', async () => {
    const cwd = project()
    const whole = readFileSync(join(cwd, 'recordings/orders.avro'))
    writeFileSync(join(cwd, 'cut.avro'), whole.subarray(0, whole.length - 100))
    const { code, out, err } = await runCli(['recording', 'info', 'cut.avro'], { cwd })
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/damaged: cut\.avro: the recording is cut at byte/),
    })
    expect(out).toContain('cut.avro: 0 records')
  })

  test('schema types writes what is missing, and --check fails where it is stale', async () => {
    const cwd = project()
    const generated = readFileSync(join(cwd, 'schemas/order.ts'), 'utf8')
    writeFileSync(join(cwd, 'schemas/order.ts'), generated.replace('quantity', 'amount'))
    const stale = await runCli(['schema', 'types', 'schemas', '--check'], { cwd })
    expect(stale).toMatchObject({
      code: 1,
      err: expect.stringMatching(/order\.ts is stale\n→ Run: millrace schema types schemas\n$/),
    })
    expect(await runCli(['schema', 'types', 'schemas'], { cwd })).toMatchObject({
      code: 0,
      out: expect.stringContaining('updated'),
    })
    expect(readFileSync(join(cwd, 'schemas/order.ts'), 'utf8')).toBe(generated)
    expect(await runCli(['schema', 'types', 'schemas', '--check'], { cwd })).toMatchObject({ code: 0 })
  })
})
