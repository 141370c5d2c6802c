/** `import { replay } from 'millrace/testing'`. */
export { type ReplayOptions, type ReplayResult, type Row, replay } from './replay.ts'
export type { TestRecord } from './rows-source.ts'
