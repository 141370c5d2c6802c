import { civilDate } from '../../src/columns/civil-date.ts'

export const DAY_MS = 86_400_000

export interface CalendarDate {
  readonly year: number
  /** 'YYYY-MM-DD'; years outside 0 to 9999 have a sign and more digits. */
  readonly text: string
}

/** The date of a day counted from 1970-01-01. JavaScript's Date ends in the year 275,760, columns do not. */
export function calendarDate(day: number): CalendarDate {
  const { year, month, dayOfMonth } = civilDate(day)
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
