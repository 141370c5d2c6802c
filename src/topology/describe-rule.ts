import { unreachable } from '../errors.ts'
import type { Rule } from './node.ts'
import { shown } from './problem.ts'

const VALUES_SHOWN_MAX = 8

/** A rule for people, behind the name of its field: 'between 0 and 1000'. */
export function describeRule(rule: Rule): string {
  switch (rule.kind) {
    case 'between':
      return `between ${rule.min} and ${rule.max}`
    case 'at-least':
      return `at least ${rule.min}`
    case 'at-most':
      return `at most ${rule.max}`
    case 'one-of': {
      const more = rule.values.length - VALUES_SHOWN_MAX
      const list = rule.values.slice(0, VALUES_SHOWN_MAX).map(shown).join(', ')
      return `one of ${list}${more > 0 ? ` and ${more} more` : ''}`
    }
    case 'not-null':
      return 'not null'
    case 'matches':
      return `matches /${rule.pattern}/${rule.flags}`
    case 'length-between':
      return rule.max === Number.POSITIVE_INFINITY
        ? `at least ${rule.min} long`
        : `between ${rule.min} and ${rule.max} long`
    case 'satisfies':
      return 'satisfies a test of its own'
    default:
      return unreachable(rule)
  }
}
