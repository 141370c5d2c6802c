import { messageOf, PipelineError } from '../../src/errors.ts'
import { RecordingFile } from './container.ts'
import type { RecordingSummary } from './recording-summary.ts'
import { summariseReadable } from './scan.ts'

export interface RecordingInfo extends RecordingSummary {
  readonly path: string
  readonly codec: string
  /** What stops a reader from reaching the end, with the advice; null where the recording is whole. */
  readonly problem: { readonly message: string; readonly advice: string | undefined } | null
}

/** Throws what opening the file throws. A recording that our writer finished is not read through. */
export async function recordingInfo(path: string): Promise<RecordingInfo> {
  const file = await RecordingFile.open(path)
  try {
    const codec = file.header.codec
    if (file.summary !== null && file.summary.bytes === file.size) {
      return { ...file.summary, path, codec, problem: null }
    }
    const { summary, error } = await summariseReadable(file)
    const problem =
      error === null
        ? null
        : { message: messageOf(error), advice: error instanceof PipelineError ? error.advice : undefined }
    return { ...summary, path, codec, problem }
  } finally {
    await file.close()
  }
}
