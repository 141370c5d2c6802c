import { PipelineError } from '../../src/errors.ts'

export function topicNotFound(topic: string, what: string): PipelineError {
  return new PipelineError('TOPIC_NOT_FOUND', what, {
    advice: `Check the name. Kafka's own tool lists the topics that are there: kafka-topics --bootstrap-server … --list. Millrace does not create ${topic}.`,
  })
}

export function topicRecreated(topic: string, was: string, is: string): PipelineError {
  return new PipelineError(
    'TOPIC_RECREATED',
    `topic ${topic} was deleted and created again: it has the id ${is}, and the pipeline has read ${was}`,
    {
      advice:
        'Offsets of the old topic mean nothing in the new one. --fresh begins again with the new topic and removes from the tables what came from the old one; to keep that, give the pipeline another name, or another lake.',
    },
  )
}

export function positionExpired(where: string, offset: number, firstOffset: number): PipelineError {
  const lost = firstOffset - offset
  return new PipelineError(
    'POSITION_EXPIRED',
    `${where}: the pipeline goes on at offset ${offset}, and the topic begins at ${firstOffset}: ${lost} offset${lost === 1 ? '' : 's'} ${lost === 1 ? 'is' : 'are'} gone`,
    {
      advice:
        'Retention has deleted records that were not read yet. To go on without them: --accept-loss (acceptLoss: true). If they are kept elsewhere, put them there first; and have the topic keep its records for longer than the pipeline may stand still (retention.ms, retention.bytes).',
    },
  )
}

export function positionBeyondEnd(where: string, offset: number, endOffset: number): PipelineError {
  return new PipelineError(
    'POSITION_BEYOND_END',
    `${where}: the pipeline goes on at offset ${offset}, and the topic ends at ${endOffset}`,
    {
      advice:
        'The brokers have lost records that the pipeline has read: an unclean leader election, or a broker restored from an older copy. What the offsets from there on mean now is not what the tables have. --fresh begins again; to keep what is there, give the pipeline another name or another lake.',
    },
  )
}
