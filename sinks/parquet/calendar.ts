export const DAY_MS = 86_400_000

export interface CalendarDate {
  readonly year: number
  /** 'YYYY-MM-DD'; years outside 0 to 9999 have a sign and more digits. */
  readonly text: string
}

/**
 * The date, in the proleptic Gregorian calendar, of a day counted from 1970-01-01. JavaScript's Date ends in the year
 * 275,760, columns do not. After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years
 * begin in March, so that the leap day is the last of one.
 */
export function calendarDate(day: number): CalendarDate {
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
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const dayOfMonth = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return { year, text: `${yearText(year)}-${twoDigits(month)}-${twoDigits(dayOfMonth)}` }
}

function yearText(year: number): string {
  const digits = String(Math.abs(year)).padStart(4, '0')
  if (year < 0) return `-${digits}`
  return year > 9999 ? `+${digits}` : digits
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0')
}
