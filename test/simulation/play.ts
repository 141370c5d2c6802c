/**
 * Seeds in bulk, without a test runner:
 *   npx node test/simulation/play.ts <first> <count> [--kafka | --shards] [--all]   stops at the first failure unless --all
 */
import { describeFailure, runSeed } from './run-seed.ts'

const [first, count] = process.argv.slice(2).map(Number)
const kafka = process.argv.includes('--kafka')
const shards = process.argv.includes('--shards')
const all = process.argv.includes('--all')
const TELL_EVERY_SEEDS = 250
const started = performance.now()
const totals: Record<string, number> = {}
let failed = 0
let steps = 0
for (let seed = first!; seed < first! + count!; seed++) {
  const outcome = await runSeed(seed, { kafka, shards })
  steps += outcome.result.steps
  for (const [kind, times] of Object.entries(outcome.result.counts))
    totals[kind] = (totals[kind] ?? 0) + times
  if ((seed - first! + 1) % TELL_EVERY_SEEDS === 0)
    console.error(`${seed - first! + 1} seeds, ${failed} failed`)
  if (outcome.failures.length === 0) continue
  failed++
  if (!all) {
    console.log(describeFailure(outcome))
    break
  }
  console.log(`${seed}: ${outcome.failures[0]!.slice(0, 300)}`)
}
const seconds = (performance.now() - started) / 1000
console.log(`${failed} of ${count} seeds failed; ${steps} steps in ${seconds.toFixed(1)} s`, totals)
