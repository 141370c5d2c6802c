import { checkSchemaTypes, generateSchemaTypes } from '../codegen/schema-types.ts'
import { EXIT, type ExitCode } from './failure.ts'
import type { Terminal } from './terminal.ts'

export interface SchemaTypesOptions {
  readonly dir: string
  readonly check: boolean
}
