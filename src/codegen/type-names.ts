import { simpleName } from '../avro/schema-model.ts'

/** Names that a generated file uses itself, and words that cannot name a type. */
const RESERVED: ReadonlySet<string> = new Set(
  [
    'AvroSchema avroSchema Decimal Readonly Record Uint8Array',
    'any bigint boolean never number object string symbol undefined unknown void',
    'arguments await break case catch class const continue debugger default delete do else enum eval export',
    'extends false finally for function if implements import in instanceof interface let new null package',
    'private protected public return static super switch this throw true try typeof var while with yield',
  ].flatMap((words) => words.split(' ')),
)

/** Hands out names that are free in one file. */
export class TypeNames {
  readonly #taken = new Set<string>(RESERVED)

  /**
   * The simple name of a type; with its namespace before it where another type of the file has that ('billing.Address'
   * → BillingAddress), else with a number behind it. `suffixes` are taken with it: 'Kinds' reserves TripKinds.
   */
  take(fullName: string, suffixes: readonly string[] = []): string {
    const long = fullName.split('.').map(capitalised).join('')
    const simple = simpleName(fullName)
    const isFree = (name: string) =>
      !this.#taken.has(name) && !suffixes.some((suffix) => this.#taken.has(name + suffix))
    let name = isFree(simple) ? simple : long
    for (let number = 2; !isFree(name); number++) name = `${long}${number}`
    this.#taken.add(name)
    for (const suffix of suffixes) this.#taken.add(name + suffix)
    return name
  }
}

/** 'pickup_zone' → 'PickupZone'. */
export function capitalised(name: string): string {
  return name
    .split(/[_-]+/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
}
