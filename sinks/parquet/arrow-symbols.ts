import { indexAt } from './row-choice.ts'
import type { RowChoice } from './row-choice.ts'

/** The UTF-8 bytes of an enum's symbols, one after the other: symbol i is `bytes[offsets[i] .. offsets[i + 1])`. */
export interface SymbolTable {
  readonly bytes: Uint8Array
  readonly offsets: Int32Array
}

export function symbolTable(symbols: readonly string[]): SymbolTable {
  const bytes = new TextEncoder().encode(symbols.join(''))
  const offsets = new Int32Array(symbols.length + 1)
  for (const [index, symbol] of symbols.entries()) {
    offsets[index + 1] = offsets[index]! + Buffer.byteLength(symbol)
  }
  return { bytes, offsets }
}

/** The offsets of the rows' strings; returns the last. A null slot may hold any index: one that is no symbol's is ''. */
export function fillSymbolOffsets(
  indices: Int32Array,
  rows: RowChoice,
  { offsets }: SymbolTable,
  to: Int32Array,
): number {
  const symbolCount = offsets.length - 1
  let end = 0
  to[0] = 0
  for (let row = 0; row < rows.count; row++) {
    const symbol = indices[indexAt(rows, row)]!
    if (symbol >>> 0 < symbolCount) end += offsets[symbol + 1]! - offsets[symbol]!
    to[row + 1] = end
  }
  return end
}

export function copySymbols(indices: Int32Array, rows: RowChoice, table: SymbolTable, to: Uint8Array): void {
  const { bytes, offsets } = table
  const symbolCount = offsets.length - 1
  let written = 0
  for (let row = 0; row < rows.count; row++) {
    const symbol = indices[indexAt(rows, row)]!
    if (symbol >>> 0 >= symbolCount) continue
    const end = offsets[symbol + 1]!
    for (let byte = offsets[symbol]!; byte < end; byte++) to[written++] = bytes[byte]!
  }
}
