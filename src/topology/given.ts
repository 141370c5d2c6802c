/** Options that the types ask for: a caller in plain JavaScript may have left them out, and is told by the checks what is missing. */
export function given<Options extends object>(options: Options | null | undefined): Partial<Options> {
  return options ?? {}
}
