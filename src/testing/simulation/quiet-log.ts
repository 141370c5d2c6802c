import type { Log } from '../../ports.ts'

/** Collects log lines, to be shown with a seed that fails. */
export class QuietLog implements Log {
  readonly #write: (line: string) => void
  readonly #fields: object

  constructor(write: (line: string) => void, fields: object = {}) {
    this.#write = write
    this.#fields = fields
  }

  debug(): void {}

  info(fields: object, message: string): void {
    this.#line('info', fields, message)
  }

  warn(fields: object, message: string): void {
    this.#line('warn', fields, message)
  }

  error(fields: object, message: string): void {
    this.#line('error', fields, message)
  }

  child(fields: object): Log {
    return new QuietLog(this.#write, { ...this.#fields, ...fields })
  }

  #line(level: string, fields: object, message: string): void {
    const all = Object.entries({ ...this.#fields, ...fields }).map(
      ([name, value]) => `${name}=${String(value)}`,
    )
    this.#write(`${level} ${message} ${all.join(' ')}`)
  }
}
