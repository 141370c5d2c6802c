/** Something that keeps a chain from being gone on from, or a table from having what a record promises. */
export interface ChainProblem {
  readonly code: ProblemCode
  readonly task: string
  /** Null where it is about the chain as a whole. */
  readonly epoch: number | null
  readonly message: string
}

export type ProblemCode = keyof typeof MEANINGS

/** What each problem means for the pipeline, and what can be done. */
export const MEANINGS = {
  unreadable:
    'The next start stops with RECORD_UNREADABLE. Restore the object from a copy, or begin again with --fresh.',
  misplaced:
    'Somebody copied or renamed objects below _millrace/. Restore them, or begin again with --fresh.',
  gap: 'Records are missing that nobody was to delete: the next start stops with CHAIN_GAP. Restore them, or begin again with --fresh.',
  lineage:
    'Two owners wrote to one chain as if each had it alone: records were copied together from two lakes, or put by hand.',
  sealed:
    'The incarnation has been replaced, but this chain is open: an old process could go on with it. Start once more with --fresh.',
  'staged-file':
    'State or partials that a restore reads are gone: the next start stops with STATE_GONE. Restore the object, or begin again with --fresh.',
  'data-file':
    'A Parquet file that readers of the table need, or that the next start would publish, is gone or has another size. Restore it from a copy.',
  unpublished:
    'The table lacks what its marker says that it has: an older copy of its _delta_log was brought back. Restore the newer one.',
  behind:
    'The table has epochs that the chain does not: records were deleted, or an older copy was brought back. The next start stops with CHAIN_BEHIND.',
  'watermark-back': 'A watermark went back, which no run does: records were changed or put by hand.',
  merge:
    'The merge cannot be restored, or has folded what is not recorded: the next start stops with MERGE_GAP. Restore what is missing, or begin again with --fresh.',
} as const
