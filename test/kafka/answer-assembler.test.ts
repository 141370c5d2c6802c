import fc from 'fast-check'
import { expect, it } from 'vitest'
import { AnswerAssembler } from '../../src/kafka/answer-assembler.ts'
import { AnswerMemory } from '../../src/kafka/answer-memory.ts'

it('puts answers together from pieces of any size, which are overwritten at once', () => {
  const answers = fc.array(fc.uint8Array({ minLength: 4, maxLength: 30 }), { maxLength: 6 })
  const cuts = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 })
  fc.assert(
    fc.property(answers, cuts, (sent, sizes) => {
      const got: Buffer[] = []
      const assembler = new AnswerAssembler(new AnswerMemory(), (answer) => got.push(Buffer.from(answer)))
      const stream = Buffer.concat(
        sent.flatMap((answer) => {
          const size = Buffer.alloc(4)
          size.writeInt32BE(answer.length)
          return [size, answer]
        }),
      )
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const piece = Buffer.from(stream.subarray(at, at + sizes[turn % sizes.length]!))
        at += piece.length
        assembler.push(piece)
        piece.fill(0xee)
      }
      expect(got.map((answer) => [...answer])).toEqual(sent.map((answer) => [...answer]))
    }),
  )
})

it('refuses what no broker sends, and takes no memory for what a stranger announces', () => {
  const assembler = new AnswerAssembler(new AnswerMemory(), () => {})
  expect(() => assembler.push(Buffer.from([0xff, 0, 0, 0, 1]))).toThrow(RangeError)
  // The first bytes of a TLS alert: 352 MB.
  const stranger = new AnswerAssembler(new AnswerMemory(), () => {})
  const before = process.memoryUsage().arrayBuffers
  stranger.push(Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02]))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
})

it('lends memory again only when it was given back', () => {
  const memory = new AnswerMemory()
  const first = memory.take(100_000)
  expect(memory.take(100_000).buffer).not.toBe(first.buffer)
  memory.give(first.buffer)
  memory.give(first.buffer)
  expect(memory.take(90_000).buffer).toBe(first.buffer)
  expect(memory.take(90_000).buffer).not.toBe(first.buffer)
  // Memory of somebody else is not lent.
  const foreign = new ArrayBuffer(131_072)
  memory.give(foreign)
  expect(memory.take(131_072).buffer).not.toBe(foreign)
})
