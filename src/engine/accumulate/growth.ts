/**
 * Room for panes. An array at least doubles, so that a pane table that grows pane by pane copies each state a few
 * times only. What is new is zero, which every accumulator takes for an empty pane.
 */
export function grownFloat64(array: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  if (length <= array.length) return array
  const grown = new Float64Array(grownLength(array.length, length))
  grown.set(array)
  return grown
}

export function grownInt32(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array
  const grown = new Int32Array(grownLength(array.length, length))
  grown.set(array)
  return grown
}

export function grownUint8(array: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length <= array.length) return array
  const grown = new Uint8Array(grownLength(array.length, length))
  grown.set(array)
  return grown
}

function grownLength(current: number, needed: number): number {
  return Math.max(needed, current * 2, 64)
}
