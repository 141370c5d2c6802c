import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const COPY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.9.0'
const DOWNLOAD_TIMEOUT_MS = 600_000

/** Where systems keep their JDKs: a server may need a newer one than `java` on the path. */
const JVM_FOLDERS = [
  '/usr/lib/jvm',
  '/usr/java',
  '/opt/java',
  '/Library/Java/JavaVirtualMachines',
  join(homedir(), '.sdkman/candidates/java'),
  join(homedir(), '.jdks'),
]

/** The `java` of JAVA_HOME, of the path, or of the system's folders, whichever is new enough first. */
export function findJava(minimumVersion: number): string | undefined {
  const home = process.env['JAVA_HOME']
  if (home !== undefined && (versionOfHome(home) ?? 0) >= minimumVersion) return join(home, 'bin/java')
  if (versionOnPath() >= minimumVersion) return 'java'
  for (const folder of JVM_FOLDERS.filter((path) => existsSync(path))) {
    for (const name of readdirSync(folder)) {
      for (const candidate of [join(folder, name), join(folder, name, 'Contents/Home')]) {
        if ((versionOfHome(candidate) ?? 0) >= minimumVersion) return join(candidate, 'bin/java')
      }
    }
  }
  return undefined
}

export const adviceForJava = (minimumVersion: number): string =>
  `there is no Java ${minimumVersion} or later: install a JDK (for example Temurin) and put it on the path, or name it in JAVA_HOME`

function versionOnPath(): number {
  const { stderr, status } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  return status === 0 ? Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0) : 0
}

function versionOfHome(home: string): number | undefined {
  if (!existsSync(join(home, 'bin/java')) || !existsSync(join(home, 'release'))) return undefined
  const version = /^JAVA_VERSION="(\d+)/m.exec(readFileSync(join(home, 'release'), 'utf8'))
  return version === null ? undefined : Number(version[1])
}

export interface Artifact {
  readonly group: string
  readonly name: string
  readonly version: string
}

/** Copies the artifacts and all they need into lib/. Maven keeps what it downloaded for the next time. */
export async function copyArtifacts(folder: string, artifacts: readonly Artifact[]): Promise<void> {
  const dependencies = artifacts.map(
    ({ group, name, version }) =>
      `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`,
  )
  const project = join(folder, 'pom.xml')
  await writeFile(
    project,
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>millrace</groupId><artifactId>parts</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('\n')}</dependencies></project>`,
  )
  await maven(folder, ['-f', project, `${COPY_PLUGIN}:copy-dependencies`, '-DincludeScope=runtime'])
}

/** Copies one file into lib/, without what its description depends on. */
export async function copyArchive(
  folder: string,
  { group, name, version }: Artifact,
  kind: string,
): Promise<void> {
  await maven(folder, [`${COPY_PLUGIN}:copy`, `-Dartifact=${group}:${name}:${version}:${kind}`])
}

async function maven(folder: string, args: readonly string[]): Promise<void> {
  if (spawnSync('mvn', ['--version']).status !== 0) throw new Error('there is no mvn: install Apache Maven')
  const output = `-DoutputDirectory=${join(folder, 'lib')}`
  await run('mvn', ['-B', '-q', '-Dstyle.color=never', ...args, output], {
    timeout: DOWNLOAD_TIMEOUT_MS,
    cwd: folder,
  })
}
