#!/usr/bin/env node
// The first file that runs, so it is kept to syntax that any Node understands: it checks the version before anything
// newer is loaded. A user's `.ts` runs by Node's own type stripping, which Node has without a flag from 22.18 (and
// from 23.6). Below that, the npm package `node` (a binary as a dependency) may provide a newer one.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const EXIT_FAILED = 1
const here = dirname(fileURLToPath(import.meta.url))

if (stripsTypes(process.versions.node)) {
  start()
} else {
  const node = process.env.MILLRACE_NODE_FOUND === undefined ? newerNode() : null
  if (node === null) {
    fail(
      'NODE_TOO_OLD: this is Node ' + process.versions.node + ', and a .ts program needs Node 22.18 or later',
      'Install Node 24, or add it to the project: npm install --save-dev node@24',
    )
  } else {
    runWith(node)
  }
}

function start() {
  const main = join(here, '..', 'dist', 'src', 'cli', 'main.js')
  if (!existsSync(main)) {
    fail('NOT_BUILT: ' + main + ' does not exist', 'In a checkout of Millrace: npm ci && npm run build')
    return
  }
  import('../dist/src/cli/main.js')
    .then(function (cli) {
      return cli.main(process.argv.slice(2))
    })
    .catch(function (error) {
      // A file or a package is missing, or a native binary does not load: nothing of ours has run yet.
      fail(
        'INSTALLATION_BROKEN: ' + String((error && error.message) || error).split('\n')[0],
        'Install again: npm ci. MILLRACE_DEBUG=1 shows the whole error.',
      )
      if (process.env.MILLRACE_DEBUG) console.error(error)
    })
}

function stripsTypes(version) {
  const parts = version.split('.').map(Number)
  const major = parts[0]
  const minor = parts[1]
  if (major === 22) return minor >= 18
  if (major === 23) return minor >= 6
  return major > 23
}

/** The binary of the package `node`, looked for from the working folder upwards, then from here. */
function newerNode() {
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  const starts = [process.cwd(), here]
  for (let i = 0; i < starts.length; i++) {
    let folder = resolve(starts[i])
    for (;;) {
      const home = join(folder, 'node_modules', 'node')
      const binary = join(home, 'bin', file)
      // Its install script fetches the binary, and --ignore-scripts leaves that out.
      if (existsSync(binary) && stripsTypes(versionOf(home))) return binary
      const above = dirname(folder)
      if (above === folder) break
      folder = above
    }
  }
  return null
}

function versionOf(home) {
  try {
    return String(JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).version)
  } catch {
    return '0.0.0'
  }
}

function runWith(node) {
  const argv = process.execArgv.concat([fileURLToPath(import.meta.url)], process.argv.slice(2))
  const env = Object.assign({}, process.env, { MILLRACE_NODE_FOUND: node })
  const child = spawn(node, argv, { stdio: 'inherit', env: env })
  // A terminal sends Ctrl-C to both processes, `kill` to this one only. The child takes two signals within a moment
  // for one, so that forwarding is right in both cases.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  signals.forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal)
    })
  })
  child.on('error', function (error) {
    fail('NODE_NOT_STARTED: ' + node + ' does not run: ' + error.message, 'Install Node 22.18 or later.')
  })
  child.on('exit', function (code, signal) {
    process.exitCode = signal === null ? code : 128 + (constants.signals[signal] || 0)
  })
}

function fail(message, advice) {
  process.stderr.write('error ' + message + '\n→ ' + advice + '\n')
  process.exitCode = EXIT_FAILED
}
