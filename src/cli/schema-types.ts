import { checkSchemaTypes, writeSchemaTypes } from '../codegen/schema-files.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { counted } from './format.ts'
import type { Terminal } from './terminal.ts'

export interface SchemaTypesOptions {
  readonly dir: string
  /** Write nothing; exit with 1 where something would be written. */
  readonly check: boolean
}

/** `millrace schema types`: a module with the types beside each schema. */
export async function schemaTypes({ dir, check }: SchemaTypesOptions, terminal: Terminal): Promise<ExitCode> {
  const { out, err } = terminal
  const files = await (check ? checkSchemaTypes({ dir }) : writeSchemaTypes({ dir }))
  const changed = files.filter((file) => file.state !== 'fresh')
  const what = check ? { stale: 'is stale', missing: 'is missing' } : { stale: 'updated', missing: 'written' }
  for (const { path, state } of changed) {
    if (state !== 'fresh') await (check ? err : out).line(`${path} ${what[state]}`)
  }
  if (changed.length === 0) await out.line(`${counted(files.length, 'file')} up to date`)
  if (!check || changed.length === 0) return EXIT.done
  await err.line(`${err.style('cyan', '→')} Run: millrace schema types ${dir}`)
  return EXIT.failed
}
