/** The order of values: NaN above everything, -0 below 0, strings and bytes by their bytes, decimals by their unscaled value. */
export function compare(a: unknown, b: unknown): number {
  if (typeof a === 'string') return compareBytes(utf8.encode(a), utf8.encode(b as string))
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array)
  if (typeof a === 'object') return compare((a as Scaled).unscaled, (b as Scaled).unscaled)
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0))
  return (a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0
}

export interface Scaled {
  readonly unscaled: bigint
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!
  }
  return a.length - b.length
}

const utf8 = new TextEncoder()
