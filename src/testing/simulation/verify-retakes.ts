/**
 * A member takes a task again that it has lost only when the group has said in between that it is its: else two owners would take it from each
 * other for as long as one of them hears nothing. Read from the trace, as nothing of it is left in the lake.
 */
export function verifyRetakes(
  trace: readonly string[],
  objects: ReadonlyMap<string, Uint8Array>,
): readonly string[] {
  const wrong: string[] = []
  /** How often the group has told a member what it is to run, or that this still holds. */
  const grants = new Map<string, number>()
  const claims = new Map<string, number>()
  for (const line of trace) {
    const told = /^(p\d+)(?: is assigned |: confirm \S+ -> true)/.exec(line)
    if (told !== null) grants.set(told[1]!, (grants.get(told[1]!) ?? 0) + 1)
    const created = /^(p\d+): create (_millrace\/[^/]+\/\d+\/([^/]+)\/\d+\.json) -> created$/.exec(line)
    if (created === null) continue
    const [, member, key, task] = created
    const granted = grants.get(member!)
    if (granted === undefined || !isClaim(objects.get(key!))) continue
    const one = `${member} ${task}`
    const times = (claims.get(one) ?? 0) + 1
    claims.set(one, times)
    // A claim may be late: it is only that there are no more of them than words from the group.
    if (times > granted) wrong.push(`${one}: taken again, and the group was not asked`)
  }
  return wrong
}

function isClaim(body: Uint8Array | undefined): boolean {
  if (body === undefined) return false
  return (JSON.parse(new TextDecoder().decode(body)) as { readonly kind: string }).kind === 'claim'
}
