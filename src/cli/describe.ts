import { describePipeline } from '../topology/describe.ts'
import { fingerprintOf } from '../topology/fingerprint.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { loadProgram } from './load-program.ts'
import { openLake } from './open-lake.ts'
import { isRefused, programDiff, programDiffText } from './program-diff.ts'
import { recordedProgram } from './recorded-program.ts'
import type { Terminal } from './terminal.ts'

/** `millrace describe`: the topology as a readable plan. */
export async function describe(path: string, { out }: Terminal): Promise<ExitCode> {
  const spec = await loadProgram(path)
  await out.line(describePipeline(spec).trimEnd())
  return EXIT.done
}

export interface DescribeDiffOptions {
  readonly path: string
  readonly lake: string
  readonly isJson: boolean
}

/** `millrace describe --diff`: what the program has that the one which wrote the lake had not, and the other way round. */
export async function describeDiff(
  { path, lake: name, isJson }: DescribeDiffOptions,
  { out }: Terminal,
): Promise<ExitCode> {
  const spec = await loadProgram(path)
  const lake = await openLake(name)
  try {
    await lake.checkThere()
    const diff = programDiff(await recordedProgram(lake.store, spec.name), fingerprintOf(spec))
    if (isJson) await out.line(JSON.stringify(diff, null, 2))
    else await out.write(programDiffText(diff, out))
    return isRefused(diff) ? EXIT.refused : EXIT.done
  } finally {
    await lake.close()
  }
}
