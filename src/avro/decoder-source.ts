import type { Column } from '../columns/column.ts'
import { createColumn } from '../columns/column.ts'
import type { Field } from '../columns/column-type.ts'
import type { Slot } from './slot-code.ts'
import { columnsOf, counters, hoist, lengths, variablesOf } from './slot-code.ts'
import { LEFT_OVER, MISMATCH, NO_BODY } from './wire.ts'

/**
 * The frame of a generated decoder: the names under which its code holds columns, the places where it can fail, and
 * the functions it is cut into. No name, symbol or default of a schema ever gets into the source: schemas come from
 * outside, so what the code needs of them is passed in as values, by number.
 *
 * Names: a arena, p position, e end of the record, r row, i record, S scratch, F the report of a failure; those of columns are
 * in slot-code.ts.
 */

/** A place that can fail: the path of the field and what is read there. */
export interface Site {
  readonly path: string
  readonly what: string
  /** The bytes that it takes, where that is fixed. */
  readonly needs: number | null
  /** Why the reader's schema has nothing for what was met. */
  readonly why: string
}

/** Beyond so much source in one function V8 no longer optimises it (60 KB of bytecode, about half its text). */
const PART_CHARS = 24_000

/** Stands for leaving the row: the text depends on the function that the code ends up in. */
const STOP = '@STOP'

export class DecoderSource {
  readonly sites: Site[] = []
  readonly values: unknown[] = []
  readonly #parts: string[] = []
  #names = 0
  #slots = 0

  /** A variable name that nothing else has. */
  name(): string {
    return `t${this.#names++}`
  }

  /** A value that the code refers to by name. */
  value(value: unknown): string {
    this.values.push(value)
    return `T${this.values.length - 1}`
  }

  site(path: string, what: string, needs: number | null = null): number {
    return this.sites.push({ path, what, needs, why: '' }) - 1
  }

  /** Code for what the writer can say and the reader's schema has nothing for. */
  mismatch(path: string, why: string): string {
    return this.fail(this.sites.push({ path, what: '', needs: null, why }) - 1, MISMATCH)
  }

  /** Code that gives up the record; `code` is an expression for one of wire.ts's codes. */
  fail(site: number, code: string | number): string {
    return `{ F(${site}, ${code}, p, e); ${STOP} }`
  }

  slotsOf(fields: readonly Field[]): readonly Slot[] {
    return fields.map((field, index) => this.#slot(createColumn(field), `columns[${index}]`))
  }

  #slot(column: Column, access: string): Slot {
    const id = this.#slots++
    const inner = (child: Column, path: string) => this.#slot(child, `C${id}.${path}`)
    let children: readonly Slot[] = []
    if (column.storage === 'struct')
      children = column.children.map((child, k) => inner(child, `children[${k}]`))
    if (column.storage === 'list') children = [inner(column.element, 'element')]
    if (column.storage === 'map') children = [inner(column.keys, 'keys'), inner(column.values, 'values')]
    return {
      id,
      field: column.field,
      storage: column.storage,
      nullable: column.field.nullable,
      children,
      access,
    }
  }

  /** Pieces in order; when they are long, as calls of functions that hold some of them each. */
  sequence(pieces: readonly string[]): string {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (length <= PART_CHARS) return pieces.join('\n')
    const calls: string[] = []
    let group = ''
    for (const piece of [...pieces, null]) {
      if (group !== '' && (piece === null || group.length + piece.length > PART_CHARS)) {
        calls.push(this.#part(group))
        group = ''
      }
      group += piece === null ? '' : `${piece}\n`
    }
    return calls.join('\n')
  }

  #part(body: string): string {
    const name = `P${this.#parts.length}`
    const own = body.replaceAll(STOP, 'return -1')
    this.#parts.push(`function ${name}(p) {\nlet b = 0, q = 0, o = 0\n${own}\nreturn p\n}`)
    return `p = ${name}(p)\nif (p < 0) ${STOP}`
  }

  /** The whole source: the body of a function of `a` … that returns `run`. */
  assemble(slots: readonly Slot[], body: string): string {
    const state = ['a', 'view', 'e', 'r', ...slots.flatMap(variablesOf)]
    const declare = `let ${state.map((name) => `${name} = ${initial(name)}`).join(', ')}`
    const whole = this.#parts.length === 0
    return [
      '"use strict"',
      // Locals of the loop are faster than variables of a closure, which the parts need to share.
      whole ? '' : declare,
      ...this.#parts,
      'return function run(arena, starts, ends, skip, from, to, columns) {',
      whole ? declare : '',
      'a = arena',
      'view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength)',
      ...slots.flatMap(columnsOf),
      'const base = C0.length',
      ...slots.map((slot) => `C${slot.id}.reserve(base + to - from)`),
      ...slots.flatMap(hoist),
      ...slots.flatMap(counters),
      'let p = 0, b = 0, q = 0, o = 0, i = from',
      'r = base',
      'rows: for (; i < to; i++, r++) {',
      'p = starts[i] + skip',
      'e = ends[i]',
      'S[2] = 0',
      `if (p > e) ${this.fail(this.site('', 'body'), NO_BODY)}`,
      body,
      `if (p !== e) ${this.fail(this.site('', 'record'), LEFT_OVER)}`,
      '}',
      ...slots.flatMap((slot) => lengths(slot, 'r', true)),
      whole ? '' : 'a = Z',
      'return i',
      '}',
    ]
      .filter((line) => line !== '')
      .join('\n')
      .replaceAll(STOP, 'break rows')
  }
}

function initial(name: string): string {
  return /^[erKL]/.test(name) ? '0' : 'null'
}
