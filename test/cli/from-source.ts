import { registerHooks } from 'node:module'

// The command from its sources, so that its tests need no build. A program's `millrace` is the same sources.
const SOURCES = new Map([
  ['millrace', new URL('../../src/index.ts', import.meta.url).href],
  ['millrace/testing', new URL('../../src/testing/index.ts', import.meta.url).href],
])

registerHooks({
  resolve: (specifier, context, next) => next(SOURCES.get(specifier) ?? specifier, context),
})

const { main } = await import('../../src/cli/main.ts')
await main(process.argv.slice(2))
