import fc from 'fast-check'
import type { LeaseProcess } from './lease-process.ts'
import { FAIR, LeaseWorld, type StoreWeather } from './lease-world.ts'

/** What befalls the processes, and when. */
export type Happening =
  | {
      readonly kind: 'start'
      readonly name: number | null
      readonly speed: number
      readonly offsetMs: number
    }
  | { readonly kind: 'crash' | 'leave' | 'split' | 'merge'; readonly which: number }
  | { readonly kind: 'sleep'; readonly which: number; readonly forMs: number }
  | { readonly kind: 'torn'; readonly forMs: number }
  | { readonly kind: 'slow' | 'away'; readonly forMs: number; readonly delayMs: number }
  | { readonly kind: 'faults'; readonly forMs: number; readonly chance: number }

export interface Schedule {
  readonly seed: number
  readonly shards: number
  readonly mergeTasks: number
  readonly happenings: readonly { readonly afterMs: number; readonly what: Happening }[]
}

const which = fc.nat({ max: 20 })
const speed = fc.constantFrom(1, 0.8, 1.25, 0.95)
const start = fc.record({
  kind: fc.constant('start' as const),
  name: fc.option(fc.nat({ max: 2 }), { nil: null, freq: 2 }),
  speed,
  offsetMs: fc.integer({ min: -1e9, max: 1e9 }),
})
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { arbitrary: start, weight: 4 },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom('crash' as const, 'leave', 'split', 'merge'),
      which,
    }),
    weight: 6,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('sleep' as const),
      which,
      forMs: fc.integer({ min: 1_000, max: 60_000 }),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom('slow' as const, 'away'),
      forMs: fc.integer({ min: 1_000, max: 60_000 }),
      delayMs: fc.integer({ min: 500, max: 8_000 }),
    }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('torn' as const),
      forMs: fc.integer({ min: 20_000, max: 100_000 }),
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('faults' as const),
      forMs: fc.integer({ min: 5_000, max: 60_000 }),
      chance: fc.constantFrom(0.05, 0.2, 0.6),
    }),
    weight: 2,
  },
)

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  seed: fc.nat(),
  shards: fc.integer({ min: 1, max: 12 }),
  mergeTasks: fc.integer({ min: 0, max: 3 }),
  happenings: fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 20_000 }), what: happening }), {
    minLength: 3,
    maxLength: 25,
  }),
})

const ALIVE_MAX = 6

/** Plays a schedule; then the weather is fair again, everybody is awake, and at least one process lives. */
export async function play(schedule: Schedule): Promise<LeaseWorld> {
  const { seed, shards, happenings } = schedule
  const mergeTasks = Array.from({ length: schedule.mergeTasks }, (_, index) => `merge-${index}`)
  const world = new LeaseWorld({ seed, shards, mergeTasks })
  world.start()
  for (const { afterMs, what } of happenings) {
    await world.pass(afterMs)
    happen(world, what)
  }
  const asleepMs = Math.max(0, ...world.alive.map(({ asleepUntilMs }) => asleepUntilMs - world.nowMs))
  await world.pass(asleepMs)
  world.store = FAIR
  world.isFair = true
  world.say('--- fair')
  if (world.alive.length === 0) world.start()
  return world
}

function happen(world: LeaseWorld, what: Happening): void {
  const pick = (index: number): LeaseProcess | undefined =>
    world.alive[index % Math.max(1, world.alive.length)]
  switch (what.kind) {
    case 'start':
      if (world.alive.length >= ALIVE_MAX) return
      world.start({ ...what, name: what.name === null ? null : `w-${what.name}` })
      return
    case 'crash':
      return pick(what.which)?.crash()
    case 'leave':
      return pick(what.which)?.leave()
    case 'sleep':
      return pick(what.which)?.sleep(what.forMs)
    case 'split':
      return world.split(what.which)
    case 'merge':
      return world.merge(what.which)
    case 'slow':
      return weather(world, what.forMs, { delayMs: what.delayMs })
    case 'away':
      return weather(world, what.forMs, { isAway: true })
    case 'torn':
      return weather(world, what.forMs, { torn: 0.5 })
    case 'faults':
      return weather(world, what.forMs, { faults: what.chance })
    default:
      throw new Error(`unexpected ${String(what satisfies never)}`)
  }
}

function weather(world: LeaseWorld, forMs: number, store: Partial<StoreWeather>): void {
  world.store = { ...FAIR, ...store }
  world.later(forMs, null, () => {
    world.store = FAIR
  })
}
