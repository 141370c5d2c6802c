/**
 * Room for panes. An array doubles, and a large one becomes four times as long: the system gives memory only to pages that are
 * touched, so what is beyond the last pane costs nothing, while every array that was outgrown stays until the next garbage
 * collection. So those together are a third of the state at most, and the peak, when one is copied, is below two and a half times
 * of what it was. What is new is zero, which most accumulators take for an empty pane; who wants something else fills in just the
 * panes that are there.
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
const STEP_MAX = 2 ** 26

function grownLength(array: { readonly length: number }, needed: number): number {
  const step = array.length < LARGE ? array.length : Math.min(3 * array.length, STEP_MAX)
  return Math.max(needed, array.length + step, 64)
}
