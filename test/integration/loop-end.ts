/** How a process of a loop ends, in words that the test looks for. */
export async function untilEnd(run: Promise<{ readonly outcome: string }>): Promise<never> {
  try {
    const { outcome } = await run
    console.error(`ended: ${outcome}`)
    process.exit(0)
  } catch (error) {
    const {
      code = 'INTERNAL',
      message,
      advice = '',
    } = error as { code?: string; message: string; advice?: string }
    console.error(`FAILED ${code}: ${message} ${advice}`, code === 'INTERNAL' ? error : '')
    process.exit(1)
  }
}
