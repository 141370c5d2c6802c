import { parseAvroSchema } from '../avro/schema-model.ts'
import { PipelineError } from '../errors.ts'
import { AvroBuffer } from './avro-buffer.ts'
import { MisfitError } from './misfit.ts'
import { valueWriter, type ValueWriter } from './value-writer.ts'

/** Confluent's frame: a zero, then the schema id as int32, big-endian. */
const FRAME_BYTES = 5

/** Values of one schema as the bytes of a record. */
export class FrameWriter {
  readonly #write: ValueWriter
  readonly #topic: string
  readonly #out = new AvroBuffer()

  /** Throws SCHEMA_INVALID. */
  constructor(avro: unknown, topic: string) {
    this.#write = valueWriter(parseAvroSchema(avro))
    this.#topic = topic
  }

  /** `index` is that of the value among those sent at once; null where it is alone. Throws PRODUCE_INVALID with the path of the field. */
  frame(schemaId: number, value: unknown, index: number | null): Buffer {
    this.#out.begin(FRAME_BYTES)
    try {
      this.#write(value, this.#out)
    } catch (error) {
      throw this.#invalid(error, index)
    }
    const frame = this.#out.finish()
    frame[0] = 0
    frame.writeInt32BE(schemaId, 1)
    return frame
  }

  #invalid(error: unknown, index: number | null): unknown {
    if (error instanceof RangeError) return this.#invalid(new MisfitError('is nested too deeply'), index)
    if (!(error instanceof MisfitError)) return error
    const which = index === null ? '' : `value ${index}: `
    const field = error.path === '' ? 'the value' : error.path
    return new PipelineError('PRODUCE_INVALID', `${this.#topic}: ${which}${field} ${error.message}`, {
      advice:
        'Nothing was sent of what was given in this call. docs/types.md says what each Avro type is in TypeScript.',
    })
  }
}
