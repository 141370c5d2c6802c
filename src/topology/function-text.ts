/**
 * The source text of a function without what does not change its meaning: comments, and white space outside of
 * strings, templates and regular expressions. The same program then has the same text whether Node stripped its types
 * (which leaves blanks), a compiler did (which leaves out comments), or a formatter has been over it.
 *
 * What a function refers to from outside is not in its text: a changed constant beside it goes unseen.
 */
export function functionText(callback: (...args: never) => unknown): string {
  return normalise(String(callback))
}

function normalise(source: string): string {
  let text = ''
  let at = 0
  while (at < source.length) {
    const end = endOfBlank(source, at)
    if (end > at) {
      at = end
      // Only between two words does a blank mean anything.
      if (isWord(text.at(-1)) && isWord(source[at])) text += ' '
      continue
    }
    const next = endOfLiteral(source, at, text)
    text += source.slice(at, next)
    at = next
  }
  return text
}

/** Past white space and comments. */
function endOfBlank(source: string, start: number): number {
  let at = start
  for (;;) {
    if (at < source.length && /\s/.test(source[at]!)) at++
    else if (source.startsWith('//', at)) at = endOfComment(source, at, '\n')
    else if (source.startsWith('/*', at)) at = endOfComment(source, at, '*/')
    else return at
  }
}

function endOfComment(source: string, start: number, terminator: string): number {
  const found = source.indexOf(terminator, start)
  return found < 0 ? source.length : found + terminator.length
}

/** Past a string, template or regular expression that begins here, else past one character. */
function endOfLiteral(source: string, start: number, before: string): number {
  const character = source[start]!
  if (character === '`') return endOfTemplate(source, start)
  if (character === "'" || character === '"') return endOfDelimited(source, start, character)
  if (character === '/' && startsExpression(before)) return endOfRegExp(source, start)
  return start + 1
}

/** True where a slash begins a regular expression, because a division needs something on its left. */
function startsExpression(before: string): boolean {
  return (
    before === '' ||
    /(?:[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|delete|new))$/.test(before)
  )
}

function endOfDelimited(source: string, start: number, delimiter: string): number {
  let at = start + 1
  while (at < source.length && source[at] !== delimiter) at += source[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfRegExp(source: string, start: number): number {
  let at = start + 1
  let inClass = false
  while (at < source.length && (inClass || source[at] !== '/')) {
    if (source[at] === '[') inClass = true
    else if (source[at] === ']') inClass = false
    at += source[at] === '\\' ? 2 : 1
  }
  return at + 1
}

/** Expressions inside are kept as they stand: they may hold templates of their own. */
function endOfTemplate(source: string, start: number): number {
  let at = start + 1
  let depth = 0
  while (at < source.length && (depth > 0 || source[at] !== '`')) {
    if (source[at] === '\\') at++
    else if (source.startsWith('${', at)) {
      depth++
      at++
    } else if (depth > 0 && source[at] === '{') depth++
    else if (depth > 0 && source[at] === '}') depth--
    else if (depth > 0 && source[at] === '`') at = endOfTemplate(source, at) - 1
    at++
  }
  return at + 1
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}_$]/u.test(character)
}
