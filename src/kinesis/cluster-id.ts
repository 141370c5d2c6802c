/**
 * What `Source.clusterId` and `Outbox.clusterId` are of Kinesis: 'kinesis:arn:aws:kinesis:eu-west-1:123456789012', the account and the region that a
 * stream's name is unique in. `arn` is that of a stream.
 */
export function kinesisClusterId(arn: string): string {
  const slash = arn.indexOf(':stream/')
  return `kinesis:${slash < 0 ? arn : arn.slice(0, slash)}`
}
