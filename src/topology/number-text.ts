/** 0.0525 is '5.25 %'. */
export function percentText(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}

/** '1 row', '1,000 rows'. */
export function countText(amount: number, noun: string): string {
  return `${numberText(amount)} ${noun}${amount === 1 ? '' : 's'}`
}

/** 250,000: by hand, because what toLocaleString prints depends on the machine. */
export function numberText(amount: number): string {
  return String(amount).replace(/\B(?=(\d{3})+$)/g, ',')
}
