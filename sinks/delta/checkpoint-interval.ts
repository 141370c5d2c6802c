/**
 * When a log checkpoint is written. One costs as much as the table has files, and a reader without it as much as there were commits since:
 * with intervals that grow with the square root of the number of files, both stay small beside the files themselves. Intervals double, so that writers which count
 * a little differently still write at the same versions.
 *
 *     files      up to 399   400   1,600   6,400   25,600   102,400
 *     commits           10    20      40      80      160       320
 */
export function checkpointInterval(fileCount: number, every: number): number {
  return every * 2 ** Math.max(0, Math.floor(Math.log2(Math.sqrt(fileCount) / 10)))
}

export function isCheckpointDue(version: number, fileCount: number, every: number): boolean {
  return version > 0 && version % checkpointInterval(fileCount, every) === 0
}

/** Commits from one clean-up of the log to the next: each of them lists it whole. */
const CLEAN_UP_EVERY = 1_000

/** True for the first checkpoint after a thousand commits: this needs no memory of when the last was, in any process. */
export function isCleanUpDue(version: number, fileCount: number, every: number): boolean {
  const before = version - checkpointInterval(fileCount, every)
  return Math.floor(version / CLEAN_UP_EVERY) > Math.floor(before / CLEAN_UP_EVERY)
}
