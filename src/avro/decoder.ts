import type { Column } from '../columns/column.ts'
import { assert, PipelineError } from '../errors.ts'
import { copyDecimal } from './decimal-bytes.ts'
import { recordCode } from './decoder-code.ts'
import { DecoderSource } from './decoder-source.ts'
import { failureText } from './failure-text.ts'
import { fieldsOf } from './fields.ts'
import { resolve } from './resolution.ts'
import type { AvroType } from './schema-model.ts'
import type { Slot } from './slot-code.ts'
import * as wire from './wire.ts'

export interface RecordDecoder {
  /**
   * Appends the records `[from, to)` of an arena to the columns of `fieldsOf(reader)`; `columns` may have more after
   * them, which are left alone. Record i is `arena[starts[i] + skip .. ends[i])`, and must take all of it.
   *
   * Returns `to` when all were appended. Else the index of the record that could not be: the records before it are
   * appended, nothing of it or of those behind it is, and `failure` says why.
   *
   * A column of more than 2 GiB in one epoch is a bad program (AssertionError): cut earlier.
   */
  decode(
    arena: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    skip: number,
    from: number,
    to: number,
    columns: readonly Column[],
  ): number
  /** 'field fare: 3 bytes left where a double needs 8', of the last record that failed; '' before. */
  readonly failure: string
}

/**
 * Generates the decoder for messages of one writer schema into the columns of a reader schema. Compile once for each
 * pair and keep it: this takes about a millisecond.
 *
 * Throws SCHEMA_INCOMPATIBLE where the schemas do not resolve, and what `fieldsOf(reader)` throws.
 */
export function compileDecoder(writer: AvroType, reader: AvroType): RecordDecoder {
  const source = new DecoderSource()
  const slots = source.slotsOf(fieldsOf(reader))
  const plan = resolve(writer, reader, '')
  if (plan.op === 'mismatch') {
    const subject = plan.path === '' ? 'the record' : `field ${plan.path}`
    throw new PipelineError('SCHEMA_INCOMPATIBLE', `${subject}: ${plan.why}`, {
      advice: 'Give the new field a default, or change the schema as docs/types.md allows.',
    })
  }
  assert(plan.op === 'record', 'a record resolves to a record')
  const text = source.assemble(slots, recordCode(source, plan.steps, slots, 'r', ''))
  return new GeneratedDecoder(source, slots, text)
}

type Run = RecordDecoder['decode']

class GeneratedDecoder implements RecordDecoder {
  failure = ''
  readonly #slots: readonly Slot[]
  readonly #run: Run

  constructor(source: DecoderSource, slots: readonly Slot[], text: string) {
    this.#slots = slots
    const fail = (site: number, code: number, p: number, end: number): void => {
      this.failure = failureText(source.sites[site]!, code, end - p)
    }
    const environment: Record<string, unknown> = {
      F: fail,
      S: new Int32Array(3),
      Z: new Uint8Array(0),
      copyBytes: wire.copyBytes,
      copyDecimal,
      copyText: wire.copyText,
      isText: wire.isText,
      longAsFloat: wire.longAsFloat,
      readBlock: wire.readBlock,
      readInt: wire.readInt,
      readLength: wire.readLength,
      readLong: wire.readLong,
      readMillis: wire.readMillis,
      writeUuid: wire.writeUuid,
    }
    for (const [index, value] of source.values.entries()) environment[`T${index}`] = value
    this.#run = new Function(...Object.keys(environment), text)(...Object.values(environment)) as Run
  }

  decode(
    arena: Uint8Array,
    starts: Int32Array,
    ends: Int32Array,
    skip: number,
    from: number,
    to: number,
    columns: readonly Column[],
  ): number {
    this.#check(columns)
    return this.#run(arena, starts, ends, skip, from, to, columns)
  }

  /** The generated code trusts the columns blindly. */
  #check(columns: readonly Column[]): void {
    const rows = columns[0]!.length
    for (const [index, slot] of this.#slots.entries()) {
      const column = columns[index]
      const fits = column !== undefined && column.storage === slot.storage && column.length === rows
      assert(fits, `column ${index} is not an aligned ${slot.storage} column for ${slot.field.name}`)
    }
  }
}
