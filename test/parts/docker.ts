import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { say } from './cache.ts'
import { freePort } from './server.ts'
import type { Owner, SharedPart } from './shared.ts'

const COMPOSE_FILE = new URL('../../docker-compose.kafka.yml', import.meta.url).pathname
/** An image may have to be fetched. */
const UP_TIMEOUT_MS = 600_000

const run = promisify(execFile)

/** A running engine and the compose plug-in, not only the command. */
export function hasDocker(): boolean {
  const answers = (args: readonly string[]): boolean =>
    spawnSync('docker', args, { timeout: 10_000, stdio: 'ignore' }).status === 0
  return answers(['version', '--format', '{{.Server.Version}}']) && answers(['compose', 'version'])
}

/**
 * Brings up one service of docker-compose.kafka.yml on a free port, in a project of this run's own, and waits until it
 * is healthy. Nothing where there is no engine, or the service does not come up: then the packages are tried.
 */
export async function composeUp<Value>(
  service: 'kafka' | 'registry' | 's3',
  owner: Owner,
  valueAt: (port: number) => Value,
): Promise<SharedPart<Value> | undefined> {
  if (!hasDocker()) return undefined
  const port = await freePort()
  const project = ['compose', '-f', COMPOSE_FILE, '-p', `millrace-test-${service}-${owner.pid}`]
  const stopCommand = ['docker', ...project, 'down', '--volumes', '--timeout', '1']
  try {
    await run('docker', [...project, 'up', '--detach', '--wait', service], {
      timeout: UP_TIMEOUT_MS,
      env: { ...process.env, [`MILLRACE_${service.toUpperCase()}_PORT`]: String(port) },
    })
  } catch (error) {
    say(`${service}: docker compose failed, so its package is tried: ${(error as Error).message.trim()}`)
    spawnSync('docker', stopCommand.slice(1), { stdio: 'ignore' })
    return undefined
  }
  const how = `${service} of docker-compose.kafka.yml at 127.0.0.1:${port}`
  return { kind: 'ready', value: valueAt(port), how, pids: [], stopCommand }
}
