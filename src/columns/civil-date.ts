/**
 * Dates of the proleptic Gregorian calendar by the day since 1970-01-01, for all times: `Date` ends 100 million days from 1970. After Howard Hinnant,
 * "chrono-Compatible Low-Level Date Algorithms": a year that begins in March has its leap day at the end, and 400 of them are an era of 146,097 days.
 */
export interface CivilDate {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly dayOfMonth: number
}

export function civilDate(day: number): CivilDate {
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const dayOfMonth = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfMonth }
}

/** Months since January 1970. */
export function monthOf(day: number): number {
  const { year, month } = civilDate(day)
  return (year - 1970) * 12 + month - 1
}

/** The first day of a month, months being counted from January 1970. */
export function dayOfMonthStart(month: number): number {
  const fromMarch = month + 1970 * 12 - 2
  const year = Math.floor(fromMarch / 12)
  const monthFromMarch = fromMarch - year * 12
  const era = Math.floor(year / 400)
  const yearOfEra = year - era * 400
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5)
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}
