import './sources.ts'

// The command as bin/millrace.js starts it, from its sources.
const { main } = await import('../../src/cli/main.ts')
await main(process.argv.slice(2))
