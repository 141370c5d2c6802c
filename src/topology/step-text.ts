import { describeStep } from './describe-step.ts'
import { functionText } from './function-text.ts'
import type { ResultNode, RowNode, TableNode, TopicNode } from './node.ts'
import { schemaDefinition } from './schema-definition.ts'

/**
 * A step, table or topic in lines for people: what it is and does, the fields of its schema and the text of its functions. Two versions of a step
 * whose fingerprints differ differ in these lines, which are kept in the lake beside them.
 */
export function stepText(node: RowNode | ResultNode | TableNode | TopicNode): readonly string[] {
  const { title, details } = describeStep(node)
  const input = 'input' in node ? [`input: ${inputText(node.input)}`] : []
  const schema = 'schema' in node ? schemaLines(node.schema.avro) : []
  return [title, ...input, ...details, ...schema, ...functionLines(node)]
}

function inputText(input: RowNode | ResultNode): string {
  return input.kind === 'late' ? `late rows of ${input.input.name}` : input.name
}

function schemaLines(avro: unknown): readonly string[] {
  const definition = schemaDefinition(avro)
  if (typeof definition !== 'object' || definition === null || !('fields' in definition)) return []
  const { fields, ...record } = definition as { readonly fields: unknown }
  const list: readonly unknown[] = Array.isArray(fields) ? fields : []
  return [`schema: ${JSON.stringify(record)}`, ...list.map((field) => `field: ${JSON.stringify(field)}`)]
}

/** A function is longer than this only by mistake; the record of a program is to stay small. */
const FUNCTION_CHARACTERS_MAX = 2_000

function functionLines(node: object): readonly string[] {
  const lines: string[] = []
  const add = (name: string, value: unknown): void => {
    if (typeof value === 'function') {
      const text = functionText(value as (...args: never) => unknown)
      const cut = text.length > FUNCTION_CHARACTERS_MAX ? '…' : ''
      lines.push(`${name}: ${text.slice(0, FUNCTION_CHARACTERS_MAX)}${cut}`)
    } else if (typeof value === 'object' && value !== null) {
      const label = labelOf(value) ?? name
      for (const [key, member] of Object.entries(value)) {
        add(typeof member === 'function' ? `${label}.${key}` : label, member)
      }
    }
  }
  for (const [key, value] of Object.entries(node)) {
    if (key !== 'input' && key !== 'schema') add(key, value)
  }
  return lines
}

/** An aggregate and a computed key have a name, a rule has a field. */
function labelOf(value: object): string | null {
  if ('name' in value && typeof value.name === 'string') return value.name
  return 'rule' in value && 'field' in value ? String(value.field) : null
}
