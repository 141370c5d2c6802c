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
      { find: /^millrace\/consumers\/kafka$/, replacement: here('./consumers/kafka/index.ts') },
      { find: /^millrace\/consumers\/kinesis$/, replacement: here('./consumers/kinesis/index.ts') },
      { find: /^millrace\/consumers\/registry$/, replacement: here('./consumers/registry/index.ts') },
      { find: /^millrace\/sinks\/s3$/, replacement: here('./sinks/s3/index.ts') },
      { find: /^millrace\/sinks\/kinesis$/, replacement: here('./sinks/kinesis/index.ts') },
      { find: /^millrace\/sinks\/topic$/, replacement: here('./sinks/topic/index.ts') },
      { find: /^millrace\/sinks\/dead-letter-topic$/, replacement: here('./sinks/dead-letter-topic.ts') },
      { find: /^millrace\/producer$/, replacement: here('./src/producer/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: ['test/parts/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
})
