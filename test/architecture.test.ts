import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = join(fileURLToPath(new URL('..', import.meta.url)))

interface SourceFile {
  readonly path: string
  readonly text: string
  /** Specifiers, and relative ones as paths from the root. */
  readonly imports: readonly string[]
  /** The same without `import type`. */
  readonly runtimeImports: readonly string[]
}

const files = ['src', 'consumers', 'sinks'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readSource(join(folder, name))),
)

function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8')
  const specifiers = (pattern: RegExp): string[] =>
    [...text.matchAll(pattern)].map((match) => {
      const specifier = match[1]!
      return specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier
    })
  const dynamic = specifiers(/\bimport\('([^']+)'\)/g)
  return {
    path,
    text,
    imports: [
      ...specifiers(/^(?:import|export)\b[^'";]*?\bfrom '([^']+)'/gm),
      ...specifiers(/^import '([^']+)'/gm),
      ...dynamic,
    ],
    runtimeImports: [...specifiers(/^(?:import|export)\s+(?!type\b)[^'";]*?\bfrom '([^']+)'/gm), ...dynamic],
  }
}

const layerOf = (path: string): string =>
  path.startsWith('src/') && path.split('/').length > 2
    ? path.split('/').slice(0, 2).join('/')
    : path.split('/')[0]!

/** What the files of a folder may import, beside themselves, src/ports.ts and src/errors.ts. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'src/columns': [],
  'src/avro': ['src/columns'],
  'src/topology': ['src/columns', 'src/avro'],
  'src/engine': ['src/columns', 'src/avro', 'src/topology'],
  'src/checkpoint': ['src/columns', 'src/engine'],
  'src/codegen': ['src/avro', 'src/columns', 'src/topology'],
  'src/runtime': ['src/columns', 'src/avro', 'src/topology', 'src/engine', 'src/checkpoint'],
  // The one client of the brokers, which sources, sinks, producers and commands share.
  'src/kafka': ['src/columns'],
  // Likewise, of Kinesis.
  'src/kinesis': ['src/columns'],
  // Who runs what, where no group hands it out.
  'src/leases': [],
  'src/producer': ['src/avro', 'src/columns', 'src/topology', 'src/kafka', 'consumers'],
  consumers: ['src/columns', 'src/kafka', 'src/kinesis', 'src/leases'],
  sinks: ['src/columns', 'src/kafka', 'src/kinesis'],
}
const ANYBODY = new Set(['src/ports.ts', 'src/errors.ts'])

describe('the layers', () => {
  it.each(Object.keys(ALLOWED))('%s imports only what lies below it', (layer) => {
    const wrong: string[] = []
    for (const file of files.filter(({ path }) => layerOf(path) === layer)) {
      for (const target of file.imports.filter((name) => name.includes('/') && name.endsWith('.ts'))) {
        if (ANYBODY.has(target) || layerOf(target) === layer) continue
        if (!ALLOWED[layer]!.includes(layerOf(target))) wrong.push(`${file.path} → ${target}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('keep the pure folders pure: no module of Node, no package, no clock, no randomness, no promise', () => {
    const pure = ['src/columns', 'src/avro', 'src/topology', 'src/engine', 'src/checkpoint']
    const wrong: string[] = []
    for (const { path, text, imports } of files.filter(({ path }) => pure.includes(layerOf(path)))) {
      for (const name of imports) if (!name.endsWith('.ts')) wrong.push(`${path} → ${name}`)
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
      for (const word of [
        /\bDate\.now\b/,
        /\bMath\.random\b/,
        /\basync\b/,
        /\bawait\b/,
        /\bPromise\b/,
        /\bperformance\./,
      ]) {
        if (word.test(code)) wrong.push(`${path}: ${word.source}`)
      }
    }
    expect(wrong).toEqual([])
  })

  it('import every package in one place', () => {
    const importers = new Map<string, string[]>()
    for (const { path, imports } of files) {
      const packages = new Set(
        imports
          .filter((name) => !name.endsWith('.ts') && !name.startsWith('node:'))
          .map((name) =>
            name
              .split('/')
              .slice(0, name.startsWith('@') ? 2 : 1)
              .join('/'),
          ),
      )
      for (const name of packages) importers.set(name, [...(importers.get(name) ?? []), path])
    }
    const several = [...importers].filter(([, paths]) => paths.length > 1)
    expect(several).toEqual([])
    const declared = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    expect([...importers.keys()].sort()).toEqual(Object.keys(declared.dependencies).sort())
  })

  it('have no cycle between files at run time', () => {
    const graph = new Map(
      files.map(({ path, runtimeImports }) => [path, runtimeImports.filter((name) => name.endsWith('.ts'))]),
    )
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
        return
      }
      if (done.has(path)) return
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const path of graph.keys()) visit(path, [])
    expect(cycles).toEqual([])
  })

  it('have no file that nothing imports', () => {
    const entries = [
      'src/index.ts',
      'src/testing/index.ts',
      'src/cli/main.ts',
      'consumers/recording/index.ts',
      'sinks/directory.ts',
      'consumers/kafka/index.ts',
      'consumers/kinesis/index.ts',
      'sinks/kinesis/index.ts',
      'consumers/registry/index.ts',
      'sinks/s3/index.ts',
      'sinks/topic/index.ts',
      'sinks/dead-letter-topic.ts',
      'src/producer/index.ts',
    ]
    const outside = ['test', 'bench', 'examples'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
        .map((name) => readSource(join(folder, name))),
    )
    const reached = new Set(entries)
    for (const { imports } of [...files, ...outside]) for (const name of imports) reached.add(name)
    expect(files.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
  })
})

describe('the repository', () => {
  it('speaks of no machine', () => {
    const wrong = files
      .filter(({ text }) => /\/(?:work|root|home\/[a-z]+)\//.test(text))
      .map(({ path }) => path)
    expect(wrong.map((path) => relative('.', path))).toEqual([])
  })
})
