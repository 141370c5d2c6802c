import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkSchemaTypes, writeSchemaTypes } from '../../src/codegen/schema-files.ts'

const PING = '{ "type": "record", "name": "Ping", "fields": [{ "name": "at", "type": "long" }] }'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-schemas-'))
})
afterEach(() => rm(dir, { recursive: true }))

const put = (name: string, text: string) => writeFile(join(dir, name), text)
const at = (name: string) => join(dir, name)

describe('schema types of a folder', () => {
  test('are written beside the schemas and are fresh from then on', async () => {
    await put('ping.avsc', PING)
    expect(await checkSchemaTypes({ dir })).toEqual([{ path: at('ping.ts'), state: 'missing' }])
    expect(await writeSchemaTypes({ dir })).toEqual([{ path: at('ping.ts'), state: 'missing' }])
    expect(await readFile(at('ping.ts'), 'utf8')).toContain("from 'millrace'")
    expect(await checkSchemaTypes({ dir })).toEqual([{ path: at('ping.ts'), state: 'fresh' }])
  })

  test('are stale when the schema has changed, and when they were edited', async () => {
    await put('ping.avsc', PING)
    await writeSchemaTypes({ dir })
    await put('ping.avsc', PING.replace('long', 'int'))
    expect(await checkSchemaTypes({ dir })).toEqual([{ path: at('ping.ts'), state: 'stale' }])
    await writeSchemaTypes({ dir })
    expect(await readFile(at('ping.ts'), 'utf8')).toContain('readonly at: number')
  })

  test('keep the import that they have', async () => {
    await put('ping.avsc', PING)
    await writeSchemaTypes({ dir, importFrom: '../src/index.ts' })
    expect(await checkSchemaTypes({ dir })).toEqual([{ path: at('ping.ts'), state: 'fresh' }])
  })

  test('never replace a file that somebody wrote', async () => {
    await put('ping.avsc', PING)
    await put('ping.ts', 'export const ping = 1\n')
    await expect(writeSchemaTypes({ dir })).rejects.toMatchObject({ code: 'SCHEMA_TYPES_FOREIGN' })
    expect(await readFile(at('ping.ts'), 'utf8')).toBe('export const ping = 1\n')
  })

  test('name the file of a schema that is wrong, and write none of the others', async () => {
    await put('ping.avsc', PING)
    await put('pong.avsc', PING.replace('long', 'lnog'))
    await expect(writeSchemaTypes({ dir })).rejects.toMatchObject({
      code: 'SCHEMA_INVALID',
      message: expect.stringContaining('pong.avsc'),
    })
    await expect(readFile(at('ping.ts'))).rejects.toThrow('ENOENT')
  })

  test('need JSON without comments', async () => {
    await put('ping.avsc', `// a ping\n${PING}`)
    await expect(checkSchemaTypes({ dir })).rejects.toMatchObject({ code: 'SCHEMA_INVALID' })
  })

  test.each(['', 'absent'])('need a folder with schemas', async (folder) => {
    await expect(checkSchemaTypes({ dir: join(dir, folder) })).rejects.toMatchObject({
      code: 'SCHEMA_NOT_FOUND',
    })
  })
})

test.each(['schemas', 'examples/lorawan/schemas', 'test/codegen/golden'])(
  'the types in %s are fresh',
  async (folder) => {
    const files = await checkSchemaTypes({ dir: fileURLToPath(new URL(`../../${folder}`, import.meta.url)) })
    expect(files.filter(({ state }) => state !== 'fresh')).toEqual([])
  },
)
