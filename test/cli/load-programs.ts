import './sources.ts'
import type { PipelineError } from '../../src/errors.ts'

// Loads each program that is named and prints what came of it as JSON: many in one process, by Node itself, because
// the errors that are put into words are Node's.
const { loadProgram } = await import('../../src/cli/load-program.ts')

const results: Record<string, { code: string; message: string; advice: string | undefined }> = {}
for (const path of process.argv.slice(2)) {
  try {
    const spec = await loadProgram(path)
    results[path] = { code: 'LOADED', message: spec.name, advice: undefined }
  } catch (error) {
    const { code, message, advice } = error as PipelineError
    results[path] = { code, message, advice }
  }
}
process.stdout.write(JSON.stringify(results))
