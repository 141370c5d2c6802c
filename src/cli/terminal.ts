import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

/** Where a command writes: results to `out`, everything that is about the run (progress, errors) to `err`. */
export interface Terminal {
  readonly out: Channel
  readonly err: Channel
  /** Shown stacks of errors: --debug or MILLRACE_DEBUG. */
  readonly debug: boolean
}

export interface Channel {
  /** True where a person looks at it, so that bars and colours make sense. */
  readonly interactive: boolean
  /** Characters in a line; null where lines may be as long as they like. */
  readonly width: number | null
  readonly stream: Writable
  /** Resolves when the other side has taken what was written, so that a long result does not pile up in memory. */
  write(text: string): Promise<void>
  line(text?: string): Promise<void>
  style(format: Style, text: string): string
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

type TtyStream = Writable & { readonly isTTY?: boolean; readonly columns?: number }

const WIDTH_MIN = 40

export function processTerminal(env: NodeJS.ProcessEnv, debug: boolean): Terminal {
  // A reader that goes away early (`| head`) is not an error of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
  return { out: channel(process.stdout, env), err: channel(process.stderr, env), debug }
}

export function channel(stream: TtyStream, env: NodeJS.ProcessEnv): Channel {
  const interactive = stream.isTTY === true && env['TERM'] !== 'dumb'
  const coloured = colours(interactive, env)
  const write = async (text: string): Promise<void> => {
    if (!stream.write(text)) await once(stream, 'drain')
  }
  return {
    interactive,
    width: interactive ? Math.max(stream.columns ?? 80, WIDTH_MIN) : null,
    stream,
    write,
    line: (text = '') => write(`${text}\n`),
    style: (format, text) => (coloured ? styleText(format, text, { validateStream: false }) : text),
  }
}

/** https://no-color.org and FORCE_COLOR, as most programs understand them. */
function colours(interactive: boolean, env: NodeJS.ProcessEnv): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false
  const forced = env['FORCE_COLOR'] ?? ''
  return forced === '' ? interactive : forced !== '0'
}
