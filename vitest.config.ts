import { defineConfig } from 'vitest/config'

const here = (path: string) => new URL(path, import.meta.url).pathname

export default defineConfig({
  resolve: {
    // The tests run the sources; a user's program gets dist/ under the same names.
    alias: [
      { find: /^millrace$/, replacement: here('./src/index.ts') },
      { find: /^millrace\/testing$/, replacement: here('./src/testing/index.ts') },
      { find: /^millrace\/consumers\/recording$/, replacement: here('./consumers/recording/index.ts') },
      { find: /^millrace\/sinks\/directory$/, replacement: here('./sinks/directory.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
})
