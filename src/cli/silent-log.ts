import type { Log } from '../ports.ts'

/** For commands that look: what is wrong is thrown, and what is tried again is nobody's business. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }
