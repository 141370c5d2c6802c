import type { WireRecord } from './api.ts'
import { StrangeAnswer } from './failure.ts'
import type { _Record as SdkRecord } from './sdk.ts'

const NO_BYTES = new Uint8Array()

/** A record as the SDK gives it. Throws StrangeAnswer where it lacks what each record has. */
export function wireRecord(record: SdkRecord): WireRecord {
  const { SequenceNumber, ApproximateArrivalTimestamp, PartitionKey, Data } = record
  if (SequenceNumber === undefined || ApproximateArrivalTimestamp === undefined) {
    throw new StrangeAnswer('a record without sequence number or time of arrival')
  }
  return {
    sequenceNumber: SequenceNumber,
    arrivalMs: ApproximateArrivalTimestamp.getTime(),
    partitionKey: PartitionKey ?? '',
    data: Data ?? NO_BYTES,
  }
}
