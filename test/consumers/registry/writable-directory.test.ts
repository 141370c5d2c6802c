import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writableDirectoryRegistry } from '../../../consumers/registry/index.ts'

const schemaOf = (name: string): string => JSON.stringify({ type: 'record', name, fields: [] })

it('gives a schema the id that it has, a new one the next, and reads both back', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'millrace-registry-')), 'made', 'here')
  const registry = writableDirectoryRegistry(path)
  expect(await registry.register('a-value', schemaOf('A'))).toBe(1)
  writeFileSync(join(path, '7-by-hand.avsc'), schemaOf('Seven'))
  expect(await registry.register('b-value', schemaOf('B'))).toBe(8)
  expect(await registry.register('a-value', `  ${schemaOf('A')}`)).toBe(1)
  expect(await registry.register('seven-value', schemaOf('Seven'))).toBe(7)
  expect(await registry.schemaById(8)).toBe(schemaOf('B'))
})

it('has one id for each schema when many register at once, and leaves nothing else behind', async () => {
  const path = mkdtempSync(join(tmpdir(), 'millrace-registry-'))
  const names = Array.from({ length: 24 }, (_, i) => `R${i % 8}`)
  const ids = await Promise.all(
    names.map((name) => writableDirectoryRegistry(path).register('s', schemaOf(name))),
  )
  for (const [i, name] of names.entries()) {
    expect(await writableDirectoryRegistry(path).schemaById(ids[i]!)).toBe(schemaOf(name))
  }
  const files = readdirSync(path)
  expect(files.filter((file) => !file.endsWith('.avsc'))).toEqual([])
  expect(files.length).toBe(new Set(files.map((file) => Number.parseInt(file, 10))).size)
})

it('says where it cannot write', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'millrace-registry-')), 'file')
  writeFileSync(file, '')
  await expect(
    writableDirectoryRegistry(join(file, 'below')).register('s', schemaOf('A')),
  ).rejects.toMatchObject({
    code: 'REGISTRY_UNWRITABLE',
  })
})
