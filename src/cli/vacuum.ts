import { inTurn } from './chain-records.ts'
import { EXIT, type ExitCode } from './failure.ts'
import { byteText, counted, countText } from './format.ts'
import { lakeTables } from './lake.ts'
import { openLake } from './open-lake.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'
import { planVacuum, type VacuumPart } from './vacuum-plan.ts'

export interface VacuumOptions {
  readonly lake: string
  readonly olderThanMs: number
  readonly dryRun: boolean
  readonly format: 'table' | 'json'
}

/** `millrace vacuum`: deletes files that nothing names any more. */
export async function vacuum(options: VacuumOptions, terminal: Terminal): Promise<ExitCode> {
  const lake = await openLake(options.lake)
  try {
    await lake.checkThere()
    const { store } = lake
    const nowMs = Date.now()
    const tables = (await lakeTables(lake)).map(({ path }) => path)
    const parts = await planVacuum(store, tables, nowMs - options.olderThanMs, nowMs)
    if (!options.dryRun) {
      for (const { objects } of parts) await inTurn(objects, ({ key }) => store.delete(key))
    }
    await print(parts, options, terminal)
    return EXIT.done
  } finally {
    await lake.close()
  }
}

async function print(
  parts: readonly VacuumPart[],
  { format, dryRun }: VacuumOptions,
  { out, err }: Terminal,
): Promise<void> {
  if (format === 'json') {
    const rows = parts.map(({ where, what, objects }) => ({
      where,
      what,
      files: objects.length,
      bytes: bytesOf(objects),
      ...(dryRun ? { keys: objects.map(({ key }) => key) } : {}),
    }))
    await out.line(JSON.stringify({ deleted: !dryRun, parts: rows }, null, 2))
    return
  }
  const all = parts.flatMap(({ objects }) => objects)
  if (all.length === 0) {
    await out.line('There is nothing to delete.')
    return
  }
  const columns = [
    { name: 'where', numeric: false },
    { name: 'what', numeric: false },
    { name: 'files', numeric: true },
    { name: 'size', numeric: true },
  ]
  const rows = parts.map(({ where, what, objects }) => [
    where,
    what,
    countText(objects.length),
    byteText(bytesOf(objects)),
  ])
  await out.write(textTable(columns, rows, out))
  const total = `${counted(all.length, 'file')}, ${byteText(bytesOf(all))}`
  await err.line(dryRun ? `${total} would be deleted; without --dry-run they are` : `${total} deleted`)
}

function bytesOf(objects: readonly { readonly size: number }[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0)
}
