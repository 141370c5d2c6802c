import { readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { usageError } from './failure.ts'

/** The recording that was named, or the only one beside the program or in the folder `recordings` there. */
export function recordingFor(program: string, named: string | null): string {
  if (named !== null) return named
  const folder = dirname(program)
  const found = [folder, join(folder, 'recordings')].filter(isFolder).flatMap(recordingsIn)
  if (found.length === 1) return found[0]!
  throw usageError(
    found.length === 0
      ? 'no recording is named, and there is none beside the program'
      : 'no recording is named',
    found.length === 0
      ? 'Name one with --recording <file>. `millrace recording make` turns JSON lines into one.'
      : `Name one with --recording: ${found.map((path) => relative('.', path)).join(', ')}.`,
  )
}

function recordingsIn(folder: string): readonly string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.avro'))
  return names.sort().map((name) => join(folder, name))
}

/** The registry that was named, or the folder `registry` beside the recording. */
export function registryFor(recording: string, named: string | null): string {
  if (named !== null && isFolder(named)) return named
  const beside = named === null ? registryBeside(recording) : null
  if (beside !== null) return beside
  throw usageError(
    named === null ? `there is no folder registry beside ${recording}` : `there is no folder ${named}`,
    "Name the folder with the writers' schemas (1-trip.avsc, …) with --registry <dir>.",
  )
}

/** Null where there is none. */
export function registryBeside(recording: string): string | null {
  const folder = join(dirname(recording), 'registry')
  return isFolder(folder) ? folder : null
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
