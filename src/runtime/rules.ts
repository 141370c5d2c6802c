/**
 * The protocol's rules by name. Production runs with all of them; the simulator takes one out at a time to show that it is
 * needed. Nothing else reads this as a switch.
 */
export interface ProtocolRules {
  /** A new owner puts a claim before it works. */
  readonly claimBeforeWork: boolean
  /** A put that is told "exists" reads the record and compares the nonce: it may be its own, the answer lost. */
  readonly nonceOnExists: boolean
  /** A put whose outcome is unknown is neither won nor lost until it is read. */
  readonly ambiguousPutIsRead: boolean
  /** The list that a claimant restores from must end in its claim. */
  readonly claimIsHead: boolean
  /** A table's txn is compared before a commit. */
  readonly txnBeforeCommit: boolean
  /** … and again after every race that was lost. */
  readonly txnAfterLostRace: boolean
  /** … for every task of a group commit. */
  readonly txnOfEveryTask: boolean
  /** An epoch is published only when its record is known to be put. */
  readonly publishAfterRecord: boolean
  /** A claimant publishes every pending epoch, not only the newest. */
  readonly redoAll: boolean
  /** … from the oldest to the newest. */
  readonly redoAscending: boolean
  /** Each table's own marker is compared, not one for all. */
  readonly markerPerTable: boolean
  /** An orphan's epoch is above the last data record. */
  readonly orphanAboveData: boolean
  /** An orphan's writer claimed before us. */
  readonly orphanOlderClaim: boolean
  /** Staged names carry the claim and the nonce of their writer. */
  readonly namesCarryOwner: boolean
  /** Record N + 1 is not put before the outcome of N is known. */
  readonly recordsInOrder: boolean
  /** A new incarnation seals the old chains. */
  readonly sealOldChains: boolean
  /** A publisher of a replaced incarnation writes nothing. */
  readonly fenceOldIncarnation: boolean
  /** The first commit of a new incarnation removes its predecessor's files. */
  readonly switchRemovesFiles: boolean
  /** The files whose rows an epoch writes anew leave the table in the commit that adds its own. */
  readonly removeWithAdd: boolean
  /** A redo takes out what the epoch replaces, and does not only add. */
  readonly redoRemoves: boolean
  /** In a commit of several epochs a file that one adds and a later one replaces is neither added nor removed. */
  readonly netRemoves: boolean
  /** A restored merge knows the files of all epochs whose rows it may have to write anew. */
  readonly restoreFiles: boolean
  /** A restore repeats each cut of the merge at the time that was recorded with it. */
  readonly cutAtRecordedTime: boolean
  /** Partials are handed to the merge only after their record is known to be put. */
  readonly mergeAfterRecord: boolean
  /** A claim moves no watermark. */
  readonly claimsMoveNoWatermark: boolean
  /** A fired pane is kept until all partitions, idle ones too, have passed it. */
  readonly keepFiredPanes: boolean
  /** A partition that has recorded nothing yet holds the watermark at −∞. */
  readonly allSourcesHoldWatermark: boolean
  /** A partition is not opened before the ends of those that it follows are recorded. */
  readonly parentsFirst: boolean
  /** It begins with the lowest of their watermarks. */
  readonly inheritWatermark: boolean
  /** … and with what their steps remember by key. */
  readonly inheritKeys: boolean
  /** A partition that was handed on holds the watermark until those that follow it have been heard. */
  readonly parentHoldsWatermark: boolean
  /** Records are deleted only below one that is published in every sink. */
  readonly deletePublishedOnly: boolean
  /** … and that no restore of the merge folds again; the merge's own only below its snapshot. */
  readonly retainMergeSnapshot: boolean
  /** … of no slice of it. */
  readonly retainForEverySlice: boolean
  /** Staged files of deleted epochs stay where a kept record names them. */
  readonly retainNamedState: boolean
  /** Before records are deleted, every table's marker is raised above them. */
  readonly raiseBeforeDelete: boolean
  /** A marker is compared by "at least". */
  readonly markerAtLeast: boolean
  /** A marker that is missing or behind is unknown: the topics themselves are read. */
  readonly scanWhenMarkerUnknown: boolean
  /** After a transaction in doubt the task is claimed anew. */
  readonly claimAfterDoubt: boolean
  /** A task that was lost is taken again only when the group confirms that it is ours. */
  readonly retakeOnlyIfConfirmed: boolean
}

export const ALL_RULES: ProtocolRules = {
  claimBeforeWork: true,
  nonceOnExists: true,
  ambiguousPutIsRead: true,
  claimIsHead: true,
  txnBeforeCommit: true,
  txnAfterLostRace: true,
  txnOfEveryTask: true,
  publishAfterRecord: true,
  redoAll: true,
  redoAscending: true,
  markerPerTable: true,
  orphanAboveData: true,
  orphanOlderClaim: true,
  namesCarryOwner: true,
  recordsInOrder: true,
  sealOldChains: true,
  fenceOldIncarnation: true,
  switchRemovesFiles: true,
  removeWithAdd: true,
  redoRemoves: true,
  netRemoves: true,
  restoreFiles: true,
  cutAtRecordedTime: true,
  mergeAfterRecord: true,
  claimsMoveNoWatermark: true,
  keepFiredPanes: true,
  allSourcesHoldWatermark: true,
  parentsFirst: true,
  inheritWatermark: true,
  inheritKeys: true,
  parentHoldsWatermark: true,
  deletePublishedOnly: true,
  retainMergeSnapshot: true,
  retainForEverySlice: true,
  retainNamedState: true,
  raiseBeforeDelete: true,
  markerAtLeast: true,
  scanWhenMarkerUnknown: true,
  claimAfterDoubt: true,
  retakeOnlyIfConfirmed: true,
}
