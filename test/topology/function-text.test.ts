import { describe, expect, test } from 'vitest'
import { functionText } from '../../src/topology/function-text.ts'

/** A function that has this source text, whatever it means. */
function withText(text: string): () => unknown {
  return Object.assign(() => null, { toString: () => text })
}

function normalised(text: string): string {
  return functionText(withText(text))
}

describe('the text of a function', () => {
  test('is that of its source', () => {
    expect(functionText((row: { fare: number }) => row.fare > 0)).toBe('(row)=>row.fare>0')
  })

  test.each([
    ['blanks', 'row=>row.a+row.b', 'row  =>\n  row.a + row.b'],
    ['types that Node has stripped', '(row) => row.a', '(row      ) => row.a'],
    ['comments', 'row => row.a', 'row => /* the a */ row.a // or b\n'],
  ])('is the same with other %s', (_what, one, other) => {
    expect(normalised(one)).toBe(normalised(other))
  })

  test.each([
    ['strings', "row => row.a === 'x y'", "row => row.a === 'x  y'"],
    ['strings with quotes in them', `row => "it's  a" + row`, `row => "it's a" + row`],
    ['strings with escapes in them', String.raw`row => '\'  b'`, String.raw`row => '\' b'`],
    ['what looks like a comment in a string', "row => 'http://a'", "row => 'http://b'"],
    ['templates', 'row => `${row.a}  ${row.b}`', 'row => `${row.a} ${row.b}`'],
    ['templates in templates', 'row => `${row.a ? `x  y` : ""}`', 'row => `${row.a ? `x y` : ""}`'],
    ['regular expressions', 'row => /a  b/.test(row.a)', 'row => /a b/.test(row.a)'],
    [
      'regular expressions with a quote',
      `row => /'/.test(row.a) ? 'a  b' : ''`,
      `row => /'/.test(row.a) ? 'a b' : ''`,
    ],
    ['regular expressions with a slash', 'row => /[/] +x/.test(row)', 'row => /[/]  +x/.test(row)'],
    ['words', 'row => typeof row', 'row => typeofrow'],
  ])('differs with other %s', (_what, one, other) => {
    expect(normalised(one)).not.toBe(normalised(other))
  })

  test('takes a division for a division', () => {
    expect(normalised('row => row.a / 2 + row.b / 3')).toBe('row=>row.a/2+row.b/3')
  })

  test('ends, even for text that no compiler would take', () => {
    for (const text of ['row => "', 'row => `${', 'row => /*', 'row => // ', 'row => /[', 'row => "\\']) {
      expect(normalised(text)).toContain('row=>')
    }
  })
})
