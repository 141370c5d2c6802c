import { checkTopic } from './check-topic.ts'
import type { LatePolicy, TopicNode } from './node.ts'
import { throwProblems } from './problem.ts'
import type { AggregateStream } from './stream.ts'

/**
 * The results of windows as records of a Kafka topic, each exactly once for `read_committed` readers: keyed by the fields of `keyBy`, Avro
 * with schemas that are registered as `<name>-key` and `<name>-value`. Throws PipelineError where the name is none for a topic.
 */
export function topic<Row, Kinds, ResultKinds>(
  name: string,
  aggregate: AggregateStream<Row, Kinds, ResultKinds, LatePolicy>,
): TopicNode {
  const node: TopicNode = { kind: 'topic', name, input: aggregate.node }
  throwProblems(checkTopic(node))
  return node
}
