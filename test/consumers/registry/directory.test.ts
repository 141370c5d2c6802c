import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { directoryRegistry } from '../../../consumers/registry/directory.ts'

function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-registry-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

test('the number that a file name starts with is the schema id', async () => {
  const registry = directoryRegistry(
    folderOf({ '1.avsc': '"int"', '12-trip.v2.avsc': '"long"', '0300_x.avsc': '"string"', 'README.md': 'x' }),
  )
  expect(await registry.schemaById(1)).toBe('"int"')
  expect(await registry.schemaById(12)).toBe('"long"')
  expect(await registry.schemaById(300)).toBe('"string"')
})

test('the UUID that a file name starts with is the schema version, and no id though it begins with digits', async () => {
  const uuid = '12345678-0000-4000-8000-000000000000'
  const lettered = 'abcdef01-0000-4000-8000-00000000000f'
  const registry = directoryRegistry(
    folderOf({
      '1.avsc': '"int"',
      [`${uuid}-trip.avsc`]: '"long"',
      [`${lettered.toUpperCase()}.avsc`]: '"string"',
    }),
  )
  expect(await registry.schemaByUuid?.(uuid)).toBe('"long"')
  expect(await registry.schemaByUuid?.(lettered)).toBe('"string"')
  expect(await registry.schemaByUuid?.(uuid.replace('8000', '9000'))).toBeNull()
  expect(await registry.schemaById(12_345_678)).toBeNull()
  expect(await registry.schemaById(1)).toBe('"int"')
})

test('an id without a file is unknown, until there is one', async () => {
  const folder = folderOf({ '1.avsc': '"int"' })
  const registry = directoryRegistry(folder)
  expect(await registry.schemaById(2)).toBeNull()
  writeFileSync(join(folder, '2.avsc'), '"long"')
  expect(await registry.schemaById(2)).toBe('"long"')
})

test.each([
  ['broken JSON', { '1-trip.avsc': '{"type": ' }, 'REGISTRY_INVALID', '1-trip.avsc: the schema is not JSON'],
  [
    'a name without an id',
    { '1.avsc': '1', 'trip.avsc': '1' },
    'REGISTRY_INVALID',
    'trip.avsc: the name does not start',
  ],
  [
    'an id too large',
    { '1.avsc': '1', '4294967296.avsc': '1' },
    'REGISTRY_INVALID',
    '4294967296.avsc: the name',
  ],
  [
    'an id twice',
    { '1-a.avsc': '1', '1-b.avsc': '1' },
    'REGISTRY_INVALID',
    '1-b.avsc: 1-a.avsc has the schema id 1 too',
  ],
  [
    'a schema version twice',
    {
      '12345678-0000-4000-8000-00000000000a-a.avsc': '1',
      '12345678-0000-4000-8000-00000000000A-b.avsc': '1',
    },
    'REGISTRY_INVALID',
    'has the schema version 12345678-0000-4000-8000-00000000000a too',
  ],
])('%s is named', async (_what, files, code, message) => {
  const folder = folderOf(files)
  await expect(directoryRegistry(folder).schemaById(1)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message),
    advice: expect.any(String),
  })
})

test('no folder', async () => {
  const registry = directoryRegistry(join(folderOf({}), 'none'))
  await expect(registry.schemaById(1)).rejects.toMatchObject({
    code: 'REGISTRY_UNREADABLE',
    retryable: false,
  })
})
