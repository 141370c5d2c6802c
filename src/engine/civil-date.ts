/**
 * Days since 1970-01-01 and months since January 1970, in the proleptic Gregorian calendar, for all times: `Date` ends 100 million days from 1970. After Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms": a year that begins in March has its leap day at the end, and 400 of them are an era of 146,097 days.
 */
export function monthOf(day: number): number {
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
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  return (era * 400 + yearOfEra - 1970) * 12 + monthFromMarch + 2
}

/** The first day of a month. */
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
