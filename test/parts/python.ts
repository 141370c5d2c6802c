import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { makeOnce, type Missing, mustBeReady, reasonOf } from './cache.ts'

/**
 * Readers of our tables that are not ours, in a Python environment that is made once and kept in node_modules/.cache.
 * The versions of duckdb and its extension must be the same.
 */
const READERS = ['pyarrow==26.0.1', 'deltalake==1.6.6', 'duckdb==1.5.5', 'duckdb-extension-delta==1.5.5']
const INSTALL_TIMEOUT_MS = 170_000

const run = promisify(execFile)

export type Python = { readonly kind: 'ready'; readonly executable: string } | Missing

/**
 * Finds or makes the environment. Where that cannot be, tests are skipped with the reason; with CI set that is an
 * error, because a check that is silently left out is no check.
 */
export async function findPython(): Promise<Python> {
  return mustBeReady(await makePython('millrace-python', READERS))
}

/** An environment with these packages. The name of its folder changes with them. */
export async function makePython(name: string, packages: readonly string[]): Promise<Python> {
  try {
    const digest = createHash('sha256').update(packages.join(' ')).digest('hex').slice(0, 8)
    const home = await makeOnce(`${name}-${digest}`, `${packages.join(', ')} from PyPI`, async (folder) => {
      if (spawnSync('python3', ['--version']).status !== 0)
        throw new Error('there is no python3: install Python 3.10 or later')
      await run('python3', ['-m', 'venv', folder])
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]
      await run(executableOf(folder), pip, { timeout: INSTALL_TIMEOUT_MS })
    })
    return { kind: 'ready', executable: executableOf(home) }
  } catch (error) {
    return { kind: 'missing', reason: `${packages.join(', ')} could not be installed: ${reasonOf(error)}` }
  }
}

const executableOf = (home: string): string =>
  join(home, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')

/** Runs a program that lies beside the tests, with arguments, and parses what it prints as JSON. */
export async function runPython<Result>(
  executable: string,
  program: string,
  args: readonly string[],
): Promise<Result> {
  const { stdout } = await run(executable, [program, ...args], {
    maxBuffer: 256 * 1024 * 1024,
    cwd: dirname(program),
  })
  return JSON.parse(stdout) as Result
}
