/**
 * The message of an Arrow IPC stream that carries rows, laid out by hand: it is a flatbuffer of which only the
 * numbers of nodes and buffers vary, so that every offset is known before the body is written.
 *
 *     0xFFFFFFFF, int32 length of the metadata, metadata (a flatbuffer `Message`), body
 *
 * https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc and
 * Message.fbs beside it; https://flatbuffers.dev/internals for tables and their vtables.
 */

/** One per column, parents first: `length` rows of which `nullCount` are null. */
export interface FieldNode {
  readonly length: number
  readonly nullCount: number
}

/** A stretch of the body, `offset` from the body's start. */
export interface BodyBuffer {
  readonly offset: number
  readonly length: number
}

export interface RecordBatchLayout {
  readonly rows: number
  readonly nodes: readonly FieldNode[]
  readonly buffers: readonly BodyBuffer[]
  readonly bodyBytes: number
}

/** Of the buffers in a body, from its start: what Arrow recommends. Messages and bodies start at multiples of 8. */
export const BODY_ALIGNMENT = 64
const PREFIX_BYTES = 8
const METADATA_V5 = 4
const HEADER_RECORD_BATCH = 3

/** A stream's end: what follows the last message. */
export const END_OF_STREAM = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)

/** The bytes from the start of a message to its body: a multiple of 8. */
export function recordBatchHeadBytes(nodeCount: number, bufferCount: number): number {
  return PREFIX_BYTES + RECORD_BATCH_AT + recordBatchBytes(nodeCount, bufferCount)
}

/** Writes prefix and metadata at `start`; `headBytes` is as `recordBatchHeadBytes` gave it. */
export function writeRecordBatchHead(bytes: Uint8Array, start: number, layout: RecordBatchLayout): void {
  const headBytes = recordBatchHeadBytes(layout.nodes.length, layout.buffers.length)
  const view = metadataView(bytes, start, headBytes)
  writeMessage(view, layout.bodyBytes)
  writeRecordBatch(view, layout)
}

/** Where the RecordBatch of a message starts, with its vtable. */
const RECORD_BATCH_AT = 48
/** From the vtable of a RecordBatch to its table, and to its first vector. */
const RECORD_BATCH_TABLE = 16
const RECORD_BATCH_NODES = 36

function recordBatchBytes(nodeCount: number, bufferCount: number): number {
  return RECORD_BATCH_NODES + 4 + 16 * nodeCount + 8 + 16 * bufferCount
}

function metadataView(bytes: Uint8Array, start: number, headBytes: number): DataView {
  bytes.fill(0, start, start + headBytes)
  const prefix = new DataView(bytes.buffer, bytes.byteOffset + start, headBytes)
  prefix.setUint32(0, 0xffff_ffff, true)
  prefix.setInt32(4, headBytes - PREFIX_BYTES, true)
  return new DataView(bytes.buffer, bytes.byteOffset + start + PREFIX_BYTES, headBytes - PREFIX_BYTES)
}

/** Message { version: short, header: union, bodyLength: long } */
function writeMessage(view: DataView, bodyBytes: number): void {
  const [vtable, table] = [4, 24]
  view.setUint32(0, table, true)
  view.setUint16(vtable, 12, true)
  view.setUint16(vtable + 2, 20, true)
  view.setUint16(vtable + 4, 16, true)
  view.setUint16(vtable + 6, 18, true)
  view.setUint16(vtable + 8, 4, true)
  view.setUint16(vtable + 10, 8, true)
  view.setInt32(table, table - vtable, true)
  view.setUint32(table + 4, RECORD_BATCH_AT + RECORD_BATCH_TABLE - (table + 4), true)
  view.setBigInt64(table + 8, BigInt(bodyBytes), true)
  view.setInt16(table + 16, METADATA_V5, true)
  view.setUint8(table + 18, HEADER_RECORD_BATCH)
}

/** RecordBatch { length: long, nodes: [FieldNode], buffers: [Buffer] } */
function writeRecordBatch(view: DataView, layout: RecordBatchLayout): void {
  const vtable = RECORD_BATCH_AT
  const table = vtable + RECORD_BATCH_TABLE
  const nodesAt = vtable + RECORD_BATCH_NODES
  const buffersAt = nodesAt + 4 + 16 * layout.nodes.length + 4
  view.setUint16(vtable, 10, true)
  view.setUint16(vtable + 2, 20, true)
  view.setUint16(vtable + 4, 8, true)
  view.setUint16(vtable + 6, 4, true)
  view.setUint16(vtable + 8, 16, true)
  view.setInt32(table, table - vtable, true)
  view.setUint32(table + 4, nodesAt - (table + 4), true)
  view.setBigInt64(table + 8, BigInt(layout.rows), true)
  view.setUint32(table + 16, buffersAt - (table + 16), true)
  view.setUint32(nodesAt, layout.nodes.length, true)
  for (const [index, node] of layout.nodes.entries()) {
    view.setBigInt64(nodesAt + 4 + 16 * index, BigInt(node.length), true)
    view.setBigInt64(nodesAt + 12 + 16 * index, BigInt(node.nullCount), true)
  }
  view.setUint32(buffersAt, layout.buffers.length, true)
  for (const [index, buffer] of layout.buffers.entries()) {
    view.setBigInt64(buffersAt + 4 + 16 * index, BigInt(buffer.offset), true)
    view.setBigInt64(buffersAt + 12 + 16 * index, BigInt(buffer.length), true)
  }
}
