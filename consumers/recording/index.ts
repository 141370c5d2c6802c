import { dirname, join } from 'node:path'
import type { SourceBinding } from '../../src/ports.ts'
import { directoryRegistry } from '../registry/directory.ts'
import { recordingSource } from './source.ts'

export interface RecordingOptions {
  readonly path: string
  /** The folder of the writers' schemas. Default: `registry` beside the recording. */
  readonly registry?: string
  /** Needed where the recording has several topics. */
  readonly topic?: string
  /** 'max' (default), or how many seconds of the recording pass in one second: 1, 60. */
  readonly speed?: 'max' | number
  /** Stop at the first record that arrived at or after this time. */
  readonly until?: Date
}

/** A recording as the source of a run: exactly the bytes that a broker would give. */
export function recording(options: RecordingOptions): SourceBinding {
  const { path, registry = join(dirname(path), 'registry'), topic, speed = 'max', until } = options
  return {
    open: ({ clock }) =>
      recordingSource({
        path,
        clock,
        speed,
        ...(topic === undefined ? {} : { topic }),
        ...(until === undefined ? {} : { untilMs: until.getTime() }),
      }),
    registry: directoryRegistry(registry),
    isReplay: true,
  }
}

export { directoryRegistry } from '../registry/directory.ts'
