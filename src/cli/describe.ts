import { describePipeline } from '../topology/describe.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { loadProgram } from './load-program.ts'
import type { Terminal } from './terminal.ts'

/** `millrace describe`: the topology as a readable plan. */
export async function describe(path: string, { out }: Terminal): Promise<ExitCode> {
  const spec = await loadProgram(path)
  await out.line(describePipeline(spec).trimEnd())
  return EXIT.done
}
