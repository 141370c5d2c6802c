import { recordingInfo } from '../../consumers/recording/recording-info.ts'
import { directoryRegistry } from '../../consumers/registry/directory.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import { compilePlan, tableShapesOf } from '../engine/plan.ts'
import { WriterSchemas } from '../engine/writer-schemas.ts'
import { PipelineError } from '../errors.ts'
import type { PipelineSpec } from '../topology/node.ts'
import { topicPath } from '../topology/problem.ts'
import { validatePipeline } from '../topology/validate.ts'
import { EXIT, type ExitCode, InvalidProgramError } from './failure.ts'
import { counted } from './format.ts'
import { loadProgram } from './load-program.ts'
import { registryFor } from './recording-place.ts'
import type { Terminal } from './terminal.ts'

export interface CheckOptions {
  readonly path: string
  readonly recording: string | null
  readonly registry: string | null
}

/**
 * `millrace check`: everything that can be known without reading a record. With a recording also whether each schema
 * that its records name can be read as the program's. Exits with 2 where something is wrong.
 */
export async function check(options: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  const { out, err } = terminal
  const spec = await loadProgram(options.path)
  const problems = validatePipeline(spec)
  for (const { code, message, advice } of problems) {
    await err.line(`${err.style('red', `error ${code}:`)} ${message}\n${err.style('cyan', '→')} ${advice}`)
  }
  if (problems.length > 0) return EXIT.usage
  const outputs = [...tablesOf(spec), ...(spec.topics ?? []).map(topicPath)]
  await out.line(`${out.style('green', 'ok')}  pipeline '${spec.name}': ${outputs.join(', ')}`)
  if (options.recording === null) return EXIT.done
  const schemas = await checkSchemas(
    spec,
    options.recording,
    registryFor(options.recording, options.registry),
  )
  for (const { ok, text } of schemas) {
    await out.line(`${ok ? out.style('green', 'ok') : out.style('red', '!!')}  ${text}`)
  }
  return schemas.every(({ ok }) => ok) ? EXIT.done : EXIT.usage
}

/** Compiles the whole program, which a run would do first; throws what is wrong with its schemas. */
function tablesOf(spec: PipelineSpec): readonly string[] {
  try {
    return tableShapesOf(compilePlan(spec, [''])).map((shape) => shape.path)
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error
    const { code, message, advice, cause } = error
    throw new InvalidProgramError(code, message, { cause, ...(advice === undefined ? {} : { advice }) })
  }
}

interface Finding {
  readonly ok: boolean
  readonly text: string
}

async function checkSchemas(
  spec: PipelineSpec,
  recording: string,
  folder: string,
): Promise<readonly Finding[]> {
  const info = await recordingInfo(recording)
  const registry = directoryRegistry(folder)
  const schemas = new WriterSchemas(parseAvroSchema(spec.source.schema.avro))
  const findings: Finding[] = [
    { ok: true, text: `recording ${recording}: ${counted(info.records, 'record')}` },
  ]
  for (const id of info.schemaIds) {
    schemas.learn(id, await registry.schemaById(id))
    const schema = schemas.get(id)!
    if (schema.kind === 'decoder') findings.push({ ok: true, text: `schema ${id} can be read` })
    else
      findings.push({
        ok: false,
        text: `${schema.message}; its records become dead letters (${schema.reason})`,
      })
  }
  return findings
}
