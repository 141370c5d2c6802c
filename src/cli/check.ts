import { recordingInfo } from '../../consumers/recording/recording-info.ts'
import { directoryRegistry } from '../../consumers/registry/index.ts'
import { isSameSchema } from '../avro/canonical-schema.ts'
import { parseAvroSchema } from '../avro/schema-model.ts'
import { compilePlan, tableShapesOf } from '../engine/plan.ts'
import { schemaName, WriterSchemas } from '../engine/writer-schemas.ts'
import { PipelineError } from '../errors.ts'
import { schemaOf } from '../runtime/schema-memory.ts'
import type { PipelineSpec } from '../topology/node.ts'
import { topicPath } from '../topology/problem.ts'
import { validatePipeline } from '../topology/validate.ts'
import { type Finding, readable } from './check-finding.ts'
import type { CheckedStream } from './check-stream.ts'
import { EXIT, type ExitCode, InvalidProgramError, usageError } from './failure.ts'
import { counted } from './format.ts'
import { loadProgram } from './load-program.ts'
import { registryBeside, registryFor } from './recording-place.ts'
import { isRegistryUrl, registryPlace, remoteRegistry } from './registry-place.ts'
import type { Terminal } from './terminal.ts'

export interface CheckOptions {
  readonly path: string
  readonly recording: string | null
  /** A folder, or a URL. */
  readonly registry: string | null
  /** Of a registry with a URL: every version of this subject is asked for. Null: those that the recording names. */
  readonly subject: string | null
  /** Null: none is looked at. */
  readonly stream: CheckedStream | null
}

/**
 * `millrace check`: everything that can be known without reading a record. With a recording also whether each schema
 * that its records name can be read as the program's, with a subject each of its versions, with a stream those that its records
 * name. Exits with 2 where something is wrong.
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
  const schemas = await checkSchemas(spec, options)
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

async function checkSchemas(spec: PipelineSpec, options: CheckOptions): Promise<readonly Finding[]> {
  const schemas = new WriterSchemas(parseAvroSchema(spec.source.schema.avro))
  const findings: Finding[] = []
  if (options.subject !== null) findings.push(...(await checkSubject(schemas, options, options.subject)))
  if (options.stream !== null) {
    // The AWS client takes its time to load.
    const { checkStream } = await import('./check-stream.ts')
    findings.push(...(await checkStream(schemas, options.stream, options.registry)))
  }
  if (options.recording !== null)
    findings.push(...(await checkRecording(schemas, options, options.recording)))
  return findings
}

/** Every version that producers may still write with, and that records may have been written with. */
async function checkSubject(
  schemas: WriterSchemas,
  { registry: url }: CheckOptions,
  subject: string,
): Promise<readonly Finding[]> {
  if (url === null) {
    throw usageError(
      `the subject ${subject} is to be checked, and no registry is named`,
      'Name one: --registry http://localhost:8081.',
    )
  }
  const registry = await remoteRegistry(url)
  const ids = await registry.idsOf(subject)
  if (ids.length === 0) return [{ ok: false, text: `${registry.description} has no subject ${subject}` }]
  const findings: Finding[] = [
    { ok: true, text: `subject ${subject} at ${registry.description}: ${counted(ids.length, 'version')}` },
  ]
  for (const id of ids) findings.push(readable(schemas, id, await registry.schemaById(id)))
  return findings
}

async function checkRecording(
  schemas: WriterSchemas,
  { registry: named }: CheckOptions,
  recording: string,
): Promise<readonly Finding[]> {
  const info = await recordingInfo(recording)
  const isRemote = named !== null && isRegistryUrl(named)
  const registry = await registryPlace(isRemote ? named : registryFor(recording, named))
  const beside = isRemote ? registryBeside(recording) : null
  const findings: Finding[] = [
    { ok: true, text: `recording ${recording}: ${counted(info.records, 'record')}` },
  ]
  for (const id of [...info.schemaIds, ...info.schemaVersions]) {
    // A registry that knows no versions says nothing of them.
    const isMute = typeof id === 'string' && registry.schemaByUuid === undefined && beside !== null
    const schema = await schemaOf(isMute ? directoryRegistry(beside) : registry, id)
    findings.push(readable(schemas, id, schema))
    const recorded = beside === null ? null : await schemaOf(directoryRegistry(beside), id)
    if (recorded !== null && schema !== null && !isSameSchema(recorded, schema)) {
      const text = `${schemaName(id)} of ${registry.description} is not the one in ${beside}: another registry, or one that was reset`
      findings.push({ ok: false, text })
    }
  }
  return findings
}
