const LINE_BYTES = 16
/** Beyond it only the count is shown; `--save` gives all. */
const SHOWN_BYTES_MAX = 4_096

/** Offset, sixteen bytes in hexadecimal, and the same as ASCII, a line. */
export function hexDump(bytes: Uint8Array): string {
  const shown = bytes.subarray(0, SHOWN_BYTES_MAX)
  const lines: string[] = []
  for (let at = 0; at < shown.length; at += LINE_BYTES) {
    const line = [...shown.subarray(at, at + LINE_BYTES)]
    const hex = line.map((byte) => byte.toString(16).padStart(2, '0'))
    const left = hex.slice(0, 8).join(' ').padEnd(23)
    const right = hex.slice(8).join(' ').padEnd(23)
    const ascii = line.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`   ${at.toString(16).padStart(6, '0')}  ${left}  ${right}  ${ascii}`)
  }
  if (shown.length < bytes.length)
    lines.push(`   … ${bytes.length - shown.length} bytes more (--save <file> writes all)`)
  return lines.join('\n')
}
