import type { KeyedStatesJson } from './ordered-partial.ts'

/** What an epoch adds to sessions: segments [start, end). `LiveSessions` says what a floor is. */
export interface SessionPartialJson extends KeyedStatesJson {
  readonly startsMs: readonly number[]
  readonly endsMs: readonly number[]
  /** Null: none. */
  readonly floorsMs: readonly (number | null)[]
}

/** JSON has no infinities. */
export function floorToJson(floorMs: number): number | null {
  return floorMs === -Infinity ? null : floorMs
}

export function floorFromJson(json: number | null): number {
  return json ?? -Infinity
}
