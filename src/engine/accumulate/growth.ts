/**
 * Room for panes. A small array doubles, so that a pane table that grows pane by pane copies each state a few times
 * only. A large one grows by a quarter: ten million panes then take at most a quarter more than they need, and while
 * one is copied no more than two and a quarter of it are there, one array at a time. What is new is zero, which every accumulator
 * takes for an empty pane, or fills itself.
 */
export function grownFloat64(array: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
  if (length <= array.length) return array
  const grown = new Float64Array(grownLength(array, length))
  grown.set(array)
  return grown
}

export function grownInt32(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array
  const grown = new Int32Array(grownLength(array, length))
  grown.set(array)
  return grown
}

export function grownUint8(array: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length <= array.length) return array
  const grown = new Uint8Array(grownLength(array, length))
  grown.set(array)
  return grown
}

/** Elements, not bytes: arrays that are asked for the same lengths must have the same lengths, whatever they are of. */
const LARGE = 2 ** 21

function grownLength(array: { readonly length: number }, needed: number): number {
  const factor = array.length < LARGE ? 2 : 1.25
  return Math.max(needed, Math.ceil(array.length * factor), 64)
}
