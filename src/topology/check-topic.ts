import type { TopicNode } from './node.ts'
import { type Problem, problem, shown, topicPath } from './problem.ts'

/** What Kafka takes; '.' and '..' it does not. */
const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/

/** What is wrong with an output topic, its input being right. */
export function checkTopic(topic: TopicNode): readonly Problem[] {
  const problems: Problem[] = []
  if (typeof topic.name !== 'string' || !TOPIC_NAME.test(topic.name)) {
    problems.push(
      problem(
        'INVALID_NAME',
        'topic',
        `${shown(topic.name)} is not a name for a topic`,
        'Kafka takes letters, digits, dots, _ and -, at most 249 of them.',
      ),
    )
  }
  const kind: unknown = topic.input?.kind
  if (kind !== 'aggregate' && kind !== 'having' && kind !== 'unique') {
    problems.push(
      problem(
        'WRONG_LAYER',
        topicPath(topic),
        'a topic holds the results of windows',
        'Give it what aggregate() returned; rows go to silver().',
      ),
    )
  }
  if (kind === 'unique') problems.push(...checkKey(topic))
  return problems
}

/** The key of a record is made of columns. */
function checkKey(topic: TopicNode): readonly Problem[] {
  const by = topic.input.kind === 'unique' ? topic.input.by : []
  return by
    .filter((path) => path.includes('.'))
    .map((path) =>
      problem(
        'INVALID_OPTION',
        topicPath(topic),
        `cannot be keyed by '${path}', which is not a column of its own`,
        'Bring it to the top level in a map step before unique().',
      ),
    )
}
