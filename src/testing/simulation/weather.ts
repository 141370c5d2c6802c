/** How rough the world is; drawn from the seed. */
export interface Weather {
  /** That something goes wrong at a step. */
  readonly disturbance: number
  /** How many things may go wrong in all. */
  readonly disturbancesMax: number
  /** Processes beyond the first that may start before the calm. */
  readonly spawnsMax: number
  /** That the process that was last chosen goes on. */
  readonly stickiness: number
  /** Calls whose label holds this text seldom get their turn; null where all are alike. */
  readonly slow: string | null
  /** How seldom: that a step passes them over. */
  readonly slowness: number
  /** That one of the requests in flight arrives at a step. */
  readonly landing: number
  /** Milliseconds that a step may take. */
  readonly stepMsMax: number
  /** Relative weights of what can go wrong. */
  readonly weights: Readonly<Record<Disturbance, number>>
}

export const DISTURBANCES = [
  'response-lost',
  'dropped',
  'in-flight',
  'transient',
  'denied',
  'crash-before',
  'crash-after',
  'crash-in-flight',
  'pause',
  'spawn',
  'stop',
  'time-jump',
] as const
export type Disturbance = (typeof DISTURBANCES)[number]

/** Counts of what happened, so that a test can show that the simulator does disturb. */
export type DisturbanceCounts = Record<Disturbance | 'late-arrival', number>
