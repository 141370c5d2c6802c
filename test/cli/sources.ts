import { registerHooks } from 'node:module'

// A program's `millrace` is the sources under test, so that these tests need no build.
const SOURCES = new Map([
  ['millrace', new URL('../../src/index.ts', import.meta.url).href],
  ['millrace/testing', new URL('../../src/testing/index.ts', import.meta.url).href],
])

registerHooks({
  resolve: (specifier, context, next) => next(SOURCES.get(specifier) ?? specifier, context),
})
