/**
 * A member takes a task again that it has lost only when the group has said in between that it is its: else two owners would take it from each
 * other for as long as one of them hears nothing. Read from the trace, as nothing of it is left in the lake.
 */
export function verifyRetakes(
  trace: readonly string[],
  objects: ReadonlyMap<string, Uint8Array>,
): readonly string[] {
  const wrong: string[] = []
  const members = new Set<string>()
  /** Tasks that a member has claimed since the group spoke to it last. */
  const claimed = new Set<string>()
  const clear = (member: string): void => {
    members.add(member)
    for (const one of claimed) if (one.startsWith(`${member} `)) claimed.delete(one)
  }
  for (const line of trace) {
    const told = /^(p\d+)(?: is assigned |: confirm \S+ -> true)/.exec(line)
    if (told !== null) clear(told[1]!)
    const created = /^(p\d+): create (_millrace\/[^/]+\/\d+\/([^/]+)\/\d+\.json) -> created$/.exec(line)
    if (created === null) continue
    const [, member, key, task] = created
    if (!members.has(member!) || !isClaim(objects.get(key!))) continue
    const one = `${member} ${task}`
    if (claimed.has(one)) wrong.push(`${one}: taken again, and the group was not asked`)
    claimed.add(one)
  }
  return wrong
}

function isClaim(body: Uint8Array | undefined): boolean {
  if (body === undefined) return false
  return (JSON.parse(new TextDecoder().decode(body)) as { readonly kind: string }).kind === 'claim'
}
