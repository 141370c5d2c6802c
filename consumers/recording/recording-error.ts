import { PipelineError } from '../../src/errors.ts'
import { EXPECTED_LAYOUT } from './recording-schema.ts'

/** The file is not a recording, or holds something that no writer of recordings makes. */
export function invalidRecording(path: string, what: string, advice?: string): PipelineError {
  return new PipelineError('RECORDING_INVALID', `${path}: ${what}`, {
    advice:
      advice ??
      'The file is damaged or was not written as a recording. Make it again, for example with `millrace recording make`.',
  })
}

export function foreignSchema(path: string, mismatch: string): PipelineError {
  return invalidRecording(
    path,
    `not a recording of raw records: ${mismatch}`,
    `A recording is an Avro object container file whose records are: ${EXPECTED_LAYOUT}. ` +
      'An Avro file of decoded events is not a recording: turn events into one with `millrace recording make`.',
  )
}

/** `position` is the first byte that could not be used: everything before it is whole. */
export function cutRecording(path: string, position: number, size: number, what: string): PipelineError {
  return new PipelineError(
    'RECORDING_CUT',
    `${path}: the recording is cut at byte ${position} of ${size}: ${what}`,
    {
      advice:
        'The records before that byte are whole. A replay does not take the cut for the end of the stream: windows that ' +
        'were open stay open. Get the whole file and replay it into the same lake: it continues behind what is there.',
    },
  )
}

export function recordingUnreadable(path: string, cause: unknown): PipelineError {
  const missing = (cause as { code?: unknown } | null)?.code === 'ENOENT'
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new PipelineError(
    missing ? 'RECORDING_MISSING' : 'RECORDING_UNREADABLE',
    missing ? `${path}: there is no such recording` : `${path}: the recording cannot be read: ${reason}`,
    {
      cause,
      advice: missing ? 'Give the path of a recording (.avro).' : 'Check that it is a file and may be read.',
    },
  )
}
