import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import avro from 'avsc'
import { expect, it } from 'vitest'
import { RecordingFile } from '../../consumers/recording/container.ts'
import { createRecordingWriter } from '../../consumers/recording/recording-writer.ts'
import { recordsByBlock } from '../../consumers/recording/scan.ts'
import { mustBeReady } from '../parts/cache.ts'
import { findKinesisPackages, startKinesis } from '../parts/kinesis.ts'
import { findGlue, registerInGlue } from '../parts/moto.ts'
import { glueFrame } from '../support/glue-frame.ts'
import { folderWith, runCli } from './run-cli.ts'

const glue = await findGlue()
const packages = mustBeReady(await findKinesisPackages())
const isMissing = glue.kind === 'missing' || packages.kind === 'missing'

const PROGRAM = `import { avroSchema, bronze, pipeline, stream } from 'millrace'
const Order = avroSchema(${JSON.stringify({
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [
    { name: 'id', type: 'long' },
    { name: 'total', type: 'double', default: 0 },
  ],
})})
export default pipeline({ name: 'orders', tables: [bronze('orders', stream('orders', Order))] })
`
const ORDER = JSON.stringify({
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [{ name: 'id', type: 'long' }],
})

const hex = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('hex')

async function valuesIn(path: string): Promise<readonly (string | null)[]> {
  const file = await RecordingFile.open(path)
  const values: (string | null)[] = []
  for await (const records of recordsByBlock(file)) values.push(...records.map(({ value }) => hex(value)))
  await file.close()
  return values
}

it.skipIf(isMissing)(
  'frames of AWS Glue go to a stream and come back byte for byte, with the schema that they name',
  async () => {
    if (glue.kind === 'missing') return
    const [uuid] = await registerInGlue(glue, `shop-${randomUUID()}`, [ORDER])
    const type = avro.Type.forSchema(JSON.parse(ORDER) as avro.Schema)
    const values = [1, 2, 3].map((id) => glueFrame(uuid!, type.toBuffer({ id }), id === 2))
    const folder = folderWith({ 'orders.ts': PROGRAM, 'package.json': '{"type": "module"}' })
    const writer = createRecordingWriter(join(folder, 'sent.avro'))
    for (const [offset, value] of values.entries()) {
      const times = { timestampMs: 1_700_000_000_000 + offset, arrivalMs: 1_700_000_000_000 + offset }
      const key = Uint8Array.of(0x61)
      writer.append({ topic: 'orders', partition: 0, offset, ...times, key, value, headers: [] })
    }
    writer.close()
    const kinesis = await startKinesis()
    try {
      const env = {
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
        AWS_REGION: glue.region,
        MILLRACE_KINESIS_ENDPOINT: kinesis.endpoint,
      }
      const run = (...args: readonly string[]) => runCli(args, { cwd: folder, env })
      const sent = await run('produce', '--recording', 'sent.avro', '--stream', 'orders', '--create-stream')
      expect(sent.code, sent.err).toBe(0)
      const place = ['--stream', 'orders', '--glue-registry', glue.endpoint]
      const back = await run('record', ...place, '--out', 'back.avro', '--until-end')
      expect(back.code, back.err).toBe(0)
      expect(back.out).toContain(`schema version ${uuid}: ${uuid}-order.avsc`)
    } finally {
      await kinesis.dispose()
    }
    expect(await valuesIn(join(folder, 'back.avro'))).toEqual(values.map(hex))
    const written = JSON.parse(readFileSync(join(folder, `registry/${uuid}-order.avsc`), 'utf8')) as unknown
    expect(written).toEqual(JSON.parse(ORDER))

    const info = await runCli(['recording', 'info', 'back.avro'], { cwd: folder })
    expect(info.out).toContain(`schema versions of AWS Glue in the frames: ${uuid}`)
    const head = await runCli(['recording', 'head', 'back.avro'], { cwd: folder })
    for (const [index, value] of values.entries()) {
      expect(head.out).toContain(
        `${value.length} bytes, schema version ${uuid}\n    {\n      "id": ${index + 1}`,
      )
    }
    const check = await runCli(['check', 'orders.ts', '--recording', 'back.avro'], { cwd: folder })
    expect(check, check.err).toMatchObject({
      code: 0,
      out: expect.stringContaining(`schema version ${uuid} can be read`) as string,
    })
    const replay = ['replay', 'orders.ts', '--recording', 'back.avro', '--lake', 'lake']
    const replayed = await runCli(replay, { cwd: folder })
    expect(replayed.code, replayed.err).toBe(0)
    const query = [
      'query',
      'select id, total from bronze.orders order by id',
      '--lake',
      'lake',
      '--format',
      'json',
    ]
    expect(JSON.parse((await runCli(query, { cwd: folder })).out)).toEqual(
      [1, 2, 3].map((id) => ({ id, total: 0 })),
    )
  },
)
