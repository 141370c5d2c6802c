/**
 * Records that were put among the real ones, so that dead letters can be seen. Each stands right behind the report whose
 * number is `after`, in the same partition, with the same times and key, and says what it is in the header `injected`.
 * The README lists them.
 */
export interface Fault {
  readonly name: string
  /** Number of a line of stream.jsonl, from 0. */
  readonly after: number
  /** The value, made of the report before it; null is a tombstone. */
  readonly value: (report: Report, encode: Encode) => Uint8Array | null
}

/** A frame as JSON, and its encoding with one of the schemas in registry/. */
export type Report = Readonly<Record<string, unknown>>
export type Encode = (report: Report, schemaId: 1 | 2 | 3) => Uint8Array

/** Where the length of devEui is in an encoded frame: behind the Confluent header and two timestamps. */
const DEV_EUI_LENGTH_AT = 5 + 6 + 6

export const FAULTS: readonly Fault[] = [
  { name: 'tombstone', after: 500, value: () => null },
  { name: 'empty', after: 1_500, value: () => new Uint8Array(0) },
  {
    name: 'truncated',
    after: 3_000,
    value: (report, encode) => {
      const bytes = encode(report, 1)
      return bytes.subarray(0, bytes.length >> 1)
    },
  },
  {
    name: 'bytes left over',
    after: 4_500,
    value: (report, encode) => Uint8Array.from([...encode(report, 1), 0x00, 0x00, 0x07]),
  },
  {
    name: 'string of a gigabyte',
    after: 6_000,
    // 2^30 as a zig-zag varint over the length and the first characters of devEui.
    value: (report, encode) => patched(encode(report, 1), DEV_EUI_LENGTH_AT, [0x80, 0x80, 0x80, 0x80, 0x08]),
  },
  {
    name: 'not UTF-8',
    after: 7_500,
    value: (report, encode) => patched(encode(report, 1), DEV_EUI_LENGTH_AT + 1, [0xff]),
  },
  {
    name: 'symbol out of range',
    after: 9_000,
    value: (report, encode) => {
      const low = encode({ ...report, spreading: 'SF7BW125' }, 1)
      const high = encode({ ...report, spreading: 'SF12BW125' }, 1)
      const at = low.findIndex((byte, index) => byte !== high[index])
      return patched(high, at, [0x7e])
    },
  },
  {
    name: 'JSON instead of Avro',
    after: 12_000,
    value: (report) =>
      new TextEncoder().encode(JSON.stringify({ devEui: report['devEui'], rssi: report['rssi'] })),
  },
  {
    name: 'frame header cut',
    after: 14_000,
    value: () => Uint8Array.of(0x00, 0x00, 0x00),
  },
  {
    name: 'unknown schema',
    after: 16_000,
    value: (report, encode) => patched(encode(report, 1), 1, [0x00, 0x00, 0x03, 0xe7]),
  },
  {
    name: 'incompatible schema',
    after: 18_000,
    value: (report, encode) => encode({ ...report, rssi: `${String(report['rssi'])} dBm` }, 3),
  },
  { name: 'rssi above zero', after: 20_000, value: (report, encode) => encode({ ...report, rssi: 19 }, 1) },
  {
    name: 'hotter than any sensor',
    after: 24_000,
    value: (report, encode) => encode({ ...report, temperature: 655.35 }, 2),
  },
  {
    name: 'clock in 2099',
    after: 27_000,
    value: (report, encode) => encode({ ...report, receivedAt: '2099-12-31T23:59:59Z' }, 2),
  },
  {
    name: 'clock before 1970',
    after: 30_000,
    value: (report, encode) => encode({ ...report, receivedAt: '1969-12-31T23:59:58.500Z' }, 2),
  },
  {
    name: 'FSK, which the program throws at',
    after: 33_000,
    value: (report, encode) => encode({ ...report, spreading: 'FSK50', frameCounter: 65_535 }, 2),
  },
]

function patched(bytes: Uint8Array, at: number, by: readonly number[]): Uint8Array {
  const copy = bytes.slice()
  copy.set(by, at)
  return copy
}
