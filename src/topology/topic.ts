import { checkTopic } from './check-topic.ts'
import type { TopicNode } from './node.ts'
import { throwProblems } from './problem.ts'
import type { ResultStream } from './result-stream.ts'
import type { UniqueStream } from './stream.ts'

/**
 * The results of windows as records of a Kafka topic, each exactly once for `read_committed` readers: keyed by the key fields, window_start and
 * window_end, so that a later revision replaces an earlier one, and a null value says that a result is no more. Avro, with schemas that are registered as
 * `<name>-key` and `<name>-value`. Rows of `unique` are keyed by the fields of `by`. Throws PipelineError where the name is none for a topic.
 */
export function topic<Row, Kinds>(
  name: string,
  results: ResultStream<Row, Kinds> | UniqueStream<Row, Kinds>,
): TopicNode {
  const node: TopicNode = { kind: 'topic', name, input: results.node }
  throwProblems(checkTopic(node))
  return node
}
