import type { OutboxMarker } from '../../src/ports.ts'

/**
 * A marker as the metadata of a group's offset: 'incarnation:life:epoch'. The offset beside it is the epoch, for people who look at the group
 * with Kafka's own tools.
 */
export function markerText({ incarnation, life, epoch }: OutboxMarker): string {
  return `${incarnation}:${life}:${epoch}`
}

/** Null where there is none, or something else wrote there: then nobody knows how far the outbox has come. */
export function parseMarker(metadata: string | null): OutboxMarker | null {
  const match = /^(\d{1,9}):([^:]+):(\d{1,15})$/.exec(metadata ?? '')
  return match === null ? null : { incarnation: Number(match[1]), life: match[2]!, epoch: Number(match[3]) }
}
