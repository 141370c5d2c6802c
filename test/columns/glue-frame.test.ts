import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  GLUE_FRAME_BYTES,
  glueFrameProblem,
  glueUuidAt,
  isGlueBodyCompressed,
  isGlueFrame,
} from '../../src/columns/glue-frame.ts'
import { glueFrame } from '../support/glue-frame.ts'

describe('the frame of the AWS Glue Schema Registry', () => {
  it('is as its serializer writes it', () => {
    // From the format: header version 3, compression 0 or 5, the UUID with its most significant byte first.
    const bytes = Uint8Array.from(Buffer.from('0300b7b4a7f09c964e4aa687fb5de9ef0c630a0b', 'hex'))
    expect(isGlueFrame(bytes, 0, bytes.length)).toBe(true)
    expect(glueUuidAt(bytes, 0)).toBe('b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63')
    expect(isGlueBodyCompressed(bytes, 0)).toBe(false)
    expect([...bytes.subarray(GLUE_FRAME_BYTES)]).toEqual([0x0a, 0x0b])
  })

  it('is found wherever it lies, with its UUID', () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.uint8Array(),
        fc.uint8Array(),
        fc.boolean(),
        (uuid, before, body, isCompressed) => {
          const frame = glueFrame(uuid, body, isCompressed)
          const arena = Uint8Array.of(...before, ...frame, 7)
          const start = before.length
          expect(isGlueFrame(arena, start, start + frame.length)).toBe(true)
          expect(glueUuidAt(arena, start)).toBe(uuid)
          expect(isGlueBodyCompressed(arena, start)).toBe(isCompressed)
        },
      ),
    )
  })

  it('is nothing else: not a byte less, no other first byte, no other compression', () => {
    const frame = glueFrame(randomUUID(), new Uint8Array(0))
    for (let end = 0; end < GLUE_FRAME_BYTES; end++) {
      expect(isGlueFrame(frame, 0, end)).toBe(false)
      expect(glueFrameProblem(frame, 0, end)).toContain(`${end} bytes`)
    }
    for (let byte = 0; byte < 256; byte++) {
      expect(isGlueFrame(Uint8Array.of(byte, ...frame.subarray(1)), 0, frame.length)).toBe(byte === 3)
      const other = Uint8Array.of(3, byte, ...frame.subarray(2))
      expect(isGlueFrame(other, 0, other.length)).toBe(byte === 0 || byte === 5)
      expect(glueFrameProblem(other, 0, other.length) === null).toBe(byte === 0 || byte === 5)
    }
  })
})
