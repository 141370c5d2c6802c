import { SingleBar } from 'cli-progress'
import type { RunProgress } from '../runtime/bindings.ts'
import { counted, countText, timeText } from './format.ts'
import type { Channel } from './terminal.ts'

/** What a person sees while a pipeline runs. */
export interface ProgressDisplay {
  update(progress: RunProgress): void
  /** A line that stays, above the bar. */
  line(text: string): void
  stop(): void
}

export interface ProgressOptions {
  readonly channel: Channel
  /** Records of the whole recording; null where it is not known how many will be read. */
  readonly total: number | null
  /** Monotonic. */
  readonly nowMs: () => number
}

const BAR_CELLS = 24
/** The rate is that of the last seconds: the average would hide that something has become slow. */
const RATE_SPAN_MS = 2_000

/** A bar on one line of a terminal: share, rows, rows/s, watermark, dead letters. */
export function progressBar({ channel, total, nowMs }: ProgressOptions): ProgressDisplay {
  const rate = rateMeter(nowMs)
  let latest: RunProgress = {
    records: 0,
    recordsBefore: 0,
    watermarkMs: Number.NEGATIVE_INFINITY,
    deadLetters: 0,
  }
  const width = channel.width ?? 80
  const bar = new SingleBar({
    stream: channel.stream,
    format: (_options, { progress }) =>
      barLine(latest, total === null ? null : progress, rate.perSecond(), width, channel),
    hideCursor: true,
    clearOnComplete: true,
    // Ctrl-C is ours: it finishes the open epoch first.
    gracefulExit: false,
    // The pipeline keeps the thread busy, so that a timer alone would rarely draw.
    synchronousUpdate: true,
    fps: 8,
  })
  bar.start(total ?? 1, 0)
  return {
    update(progress) {
      latest = progress
      rate.add(progress.records)
      bar.update(total === null ? 0 : Math.min(doneOf(progress), total))
    },
    line(text) {
      // The bar goes back to the line it was started on, so it has to begin again below the text.
      bar.stop()
      channel.stream.write(`${text}\n`)
      bar.start(total ?? 1, total === null ? 0 : Math.min(doneOf(latest), total))
    },
    stop: () => bar.stop(),
  }
}

/** Parts are left out from the end where the terminal is narrow. */
function barLine(
  progress: RunProgress,
  share: number | null,
  perSecond: number,
  width: number,
  channel: Channel,
): string {
  const filled = share === null ? 0 : Math.round(share * BAR_CELLS)
  const bar =
    share === null
      ? ''
      : `${channel.style('cyan', '█'.repeat(filled))}${channel.style('dim', '░'.repeat(BAR_CELLS - filled))} ${String(Math.floor(share * 100)).padStart(3)}%  `
  const barWidth = share === null ? 0 : BAR_CELLS + 7
  const parts = [
    `${countText(doneOf(progress))} rows`,
    `${countText(Math.round(perSecond))} rows/s`,
    counted(progress.deadLetters, 'dead letter'),
    `watermark ${timeText(progress.watermarkMs)}`,
  ]
  while (parts.length > 1 && barWidth + parts.join(' · ').length >= width) parts.pop()
  return ` ${bar}${parts.join(' · ')}`
}

/** A run that goes on where an earlier one was stopped does not begin at nothing. */
function doneOf(progress: RunProgress): number {
  return progress.recordsBefore + progress.records
}

function rateMeter(nowMs: () => number): { add(records: number): void; perSecond(): number } {
  const points: { readonly atMs: number; readonly records: number }[] = [{ atMs: nowMs(), records: 0 }]
  return {
    add(records) {
      const atMs = nowMs()
      points.push({ atMs, records })
      while (points.length > 2 && points[1]!.atMs < atMs - RATE_SPAN_MS) points.shift()
    },
    perSecond() {
      const first = points[0]!
      const last = points.at(-1)!
      const elapsedMs = last.atMs - first.atMs
      return elapsedMs <= 0 ? 0 : ((last.records - first.records) / elapsedMs) * 1_000
    },
  }
}

/** Where nobody watches: a line now and then. */
export function progressLines(
  everyMs: number,
  nowMs: () => number,
  write: { progress(progress: RunProgress): void; line(text: string): void },
): ProgressDisplay {
  let nextMs = nowMs() + everyMs
  return {
    update(progress) {
      if (nowMs() < nextMs) return
      nextMs = nowMs() + everyMs
      write.progress(progress)
    },
    line: (text) => write.line(text),
    stop: () => {},
  }
}
