/** A field may be called __proto__, which assignment would take for something else. */
export function setOwn(
  object: Record<string, unknown>,
  name: string,
  value: unknown,
): Record<string, unknown> {
  if (name !== '__proto__') object[name] = value
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  return object
}
