/** Which rows of a column are written, in this order: a stretch of them, or the ones listed. */
export type RowChoice =
  | { readonly kind: 'range'; readonly start: number; readonly count: number }
  /** Ascending; `count` of the indices from `start` on are used. */
  | { readonly kind: 'list'; readonly indices: Int32Array; readonly start: number; readonly count: number }

export function allRows(count: number): RowChoice {
  return { kind: 'range', start: 0, count }
}

/** Rows `from` to `from + count` of a choice. */
export function partOf(rows: RowChoice, from: number, count: number): RowChoice {
  return { ...rows, start: rows.start + from, count }
}

/** The row that is written as number `position` of a choice. */
export function indexAt(rows: RowChoice, position: number): number {
  return rows.kind === 'range' ? rows.start + position : rows.indices[rows.start + position]!
}

/** Calls back for each stretch of adjacent rows, as a filter leaves them: long ones are copied at once. */
export function forEachRun(rows: RowChoice, visit: (start: number, end: number) => void): void {
  if (rows.kind === 'range') {
    if (rows.count > 0) visit(rows.start, rows.start + rows.count)
    return
  }
  const { indices } = rows
  const end = rows.start + rows.count
  let index = rows.start
  while (index < end) {
    const runStart = indices[index]!
    let runEnd = runStart + 1
    index++
    while (index < end && indices[index] === runEnd) {
      index++
      runEnd++
    }
    visit(runStart, runEnd)
  }
}

/** The rows of a child column, for the rows of its list or map. */
export function childRows(rows: RowChoice, offsets: Int32Array): RowChoice {
  if (rows.kind === 'range') {
    const start = offsets[rows.start]!
    return { kind: 'range', start, count: offsets[rows.start + rows.count]! - start }
  }
  let count = 0
  forEachRun(rows, (start, end) => {
    count += offsets[end]! - offsets[start]!
  })
  const indices = new Int32Array(count)
  let written = 0
  forEachRun(rows, (start, end) => {
    for (let child = offsets[start]!; child < offsets[end]!; child++) indices[written++] = child
  })
  return { kind: 'list', indices, start: 0, count }
}
