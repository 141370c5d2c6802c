const PREFIX = 'history:'

/** The position of a reader that is still in the history of a backfill: the offset from which it goes on there. */
export function historyPosition(offset: number): string {
  return `${PREFIX}${offset}`
}

/** Null where a position is one of the source. */
export function historyOffset(position: string | null): number | null {
  return position?.startsWith(PREFIX) === true ? Number(position.slice(PREFIX.length)) : null
}
