import type { ColumnType, Field } from '../../src/columns/column-type.ts'
import type { RowObject } from './table-kit.ts'

/** Rows in the form in which test/parts/read_tables.py prints what it has read. */
export function plainRow(fields: readonly Field[], row: RowObject): Record<string, unknown> {
  return Object.fromEntries(fields.map(({ name, type }) => [name, plainValue(type, row[name])]))
}

function plainValue(type: ColumnType, value: unknown): unknown {
  if (value === null || value === undefined) return null
  switch (type.kind) {
    case 'boolean':
      return value
    case 'int32':
    case 'int64':
    case 'date':
    case 'time':
      return `i:${value as bigint}`
    case 'timestamp':
      return `i:${type.unit === 'millis' ? BigInt(value as number) * 1000n : (value as bigint)}`
    case 'float32':
      return floatText(Math.fround(value as number))
    case 'float64':
      return floatText(value as number)
    case 'string':
    case 'enum':
      return `s:${value as string}`
    case 'bytes':
    case 'fixed':
      return `b:${Buffer.from(value as Uint8Array).toString('hex')}`
    case 'decimal': {
      const { unscaled, scale } = value as { unscaled: bigint; scale: number }
      return `d:${unscaled * 10n ** BigInt(type.scale - scale)}`
    }
    case 'list':
      return (value as unknown[]).map((item) => plainValue(type.element.type, item))
    case 'map': {
      const entries = Object.entries(value as Record<string, unknown>).map(([key, item]) => [
        `s:${key}`,
        plainValue(type.value.type, item),
      ])
      return { map: entries.sort((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1)) }
    }
    case 'struct':
      return plainRow(type.fields, value as RowObject)
    default:
      throw new Error(`unexpected ${JSON.stringify(type satisfies never)}`)
  }
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'f:nan'
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return `f:${bytes.toString('hex')}`
}
