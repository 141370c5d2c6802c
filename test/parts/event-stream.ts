import { crc32 } from 'node:zlib'

/** One message of `application/vnd.amazon.eventstream`: two lengths, a checksum of both, headers, the body, a checksum of all. */
export function eventStreamMessage(headers: Readonly<Record<string, string>>, body: unknown): Buffer {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)))
  const payload = Buffer.from(JSON.stringify(body))
  const message = Buffer.alloc(12 + head.length + payload.length + 4)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(head.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  head.copy(message, 12)
  payload.copy(message, 12 + head.length)
  message.writeUInt32BE(crc32(message.subarray(0, -4)), message.length - 4)
  return message
}

export function eventMessage(type: string, body: unknown): Buffer {
  return eventStreamMessage(
    { ':message-type': 'event', ':event-type': type, ':content-type': 'application/json' },
    body,
  )
}

export function exceptionMessage(type: string, message: string): Buffer {
  return eventStreamMessage(
    { ':message-type': 'exception', ':exception-type': type, ':content-type': 'application/json' },
    { message },
  )
}

/** Of strings (7), which is all that Kinesis sends. */
function header(name: string, value: string): Buffer {
  const text = Buffer.from(value)
  const bytes = Buffer.alloc(1 + name.length + 3)
  bytes.writeUInt8(name.length, 0)
  bytes.write(name, 1)
  bytes.writeUInt8(7, 1 + name.length)
  bytes.writeUInt16BE(text.length, 2 + name.length)
  return Buffer.concat([bytes, text])
}
