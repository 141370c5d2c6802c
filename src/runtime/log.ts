import { pino, stdTimeFunctions } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { Log } from '../ports.ts'
import { withoutSecrets } from './secrets.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LogOptions {
  readonly level: LogLevel
  /** Lines for a person, instead of one JSON object a line. */
  readonly pretty: boolean
  /** Only used by pretty lines. */
  readonly color?: boolean
  /** In every line: what tells this process and this run from others. */
  readonly bindings?: object
  /** Takes whole lines, newline included. Default: standard error, because standard output is for results. */
  readonly write?: (line: string) => void
}

/**
 * The `Log` port on pino. A line has `level` as a word, `time` in ISO 8601 UTC, the fields of the call and of its
 * parents, and `msg`. Values under keys that name a secret are replaced, at any depth.
 */
export function createLog(options: LogOptions): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line))
  const format = options.pretty ? prettyLines(options.color ?? false) : (line: string) => line
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      // Errors are put into fields by withoutSecrets; pino's own serializer would undo that.
      serializers: { err: (fields: unknown) => fields },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => withoutSecrets(fields) as Record<string, unknown>,
      },
    },
    { write: (line: string) => write(format(line)) },
  )
  return portOf(
    options.bindings === undefined ? logger : logger.child(withoutSecrets(options.bindings) as object),
  )
}

/** What `Log` needs of a pino logger. */
interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

function portOf(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => portOf(logger.child(withoutSecrets(fields) as object)),
  }
}

/** In this process and not in pino's worker thread: the last lines before an exit are the ones that matter. */
function prettyLines(color: boolean): (line: string) => string {
  return prettyFactory({
    colorize: color,
    singleLine: true,
    translateTime: 'UTC:HH:MM:ss',
    ignore: 'pid,hostname',
  })
}
