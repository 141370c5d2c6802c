/** An interval [start, end) of a session, and the W that its rows found; −∞ where that does not matter. `LiveSessions` says what a floor is. */
export interface SessionPart {
  readonly startMs: number
  readonly endMs: number
  readonly floorMs: number
}

/** What of a session other sessions can meet. */
export interface SessionExtent {
  readonly startMs: number
  readonly endMs: number
  readonly parts: readonly SessionPart[]
}

/**
 * Whether two sessions of a key are one: a part of one reaches a part of the other, and neither was over when the other's rows came. What was one stays one when
 * either grows, so that it does not matter in which order sessions are put together.
 */
export function areOne(a: SessionExtent, b: SessionExtent, latenessMs: number): boolean {
  if (a.startMs > b.endMs || b.startMs > a.endMs) return false
  for (const left of a.parts) {
    if (b.endMs + latenessMs <= left.floorMs) continue
    for (const right of b.parts) {
      if (a.endMs + latenessMs <= right.floorMs) continue
      if (left.startMs <= right.endMs && right.startMs <= left.endMs) return true
    }
  }
  return false
}

export function union(a: SessionExtent, b: SessionExtent, latenessMs: number): SessionExtent {
  let parts = a.parts
  for (const part of b.parts) parts = withPart(parts, part, latenessMs)
  return { startMs: Math.min(a.startMs, b.startMs), endMs: Math.max(a.endMs, b.endMs), parts }
}

/** Parts of one session, with one more: those that cannot be told apart from outside become one. */
function withPart(
  parts: readonly SessionPart[],
  added: SessionPart,
  latenessMs: number,
): readonly SessionPart[] {
  let whole = added
  let rest = parts
  for (;;) {
    const at = rest.findIndex((part) => floorOfBoth(part, whole, latenessMs) !== null)
    if (at < 0) return rest.length === 0 ? [whole] : [...rest, whole]
    const part = rest[at]!
    whole = {
      startMs: Math.min(part.startMs, whole.startMs),
      endMs: Math.max(part.endMs, whole.endMs),
      floorMs: floorOfBoth(part, whole, latenessMs)!,
    }
    rest = rest.filter((_, i) => i !== at)
  }
}

/**
 * The floor of two parts as one; null where they must stay apart. Either they touch and have the same floor: what reaches the whole reaches one of them.
 * Or they overlap and each has the floor start + allowed lateness: this keeps off only what ends where the part starts, and what ends where the later one starts
 * reaches the earlier one too.
 */
function floorOfBoth(a: SessionPart, b: SessionPart, latenessMs: number): number | null {
  if (a.startMs > b.endMs || b.startMs > a.endMs) return null
  if (a.floorMs === b.floorMs) return a.floorMs
  if (a.floorMs !== a.startMs + latenessMs || b.floorMs !== b.startMs + latenessMs) return null
  return a.startMs < b.endMs && b.startMs < a.endMs ? Math.min(a.floorMs, b.floorMs) : null
}
