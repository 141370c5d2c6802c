/** Where Kinesis is and who asks, as users give it. */
export interface KinesisOptions {
  /** Default: that of the environment or the profile. */
  readonly region?: string
  /** Another address than that of the region: a stand-in, a VPC endpoint. */
  readonly endpoint?: string
  /** Default: those that the AWS SDK finds (environment, profile, role), renewed before they end. A function is asked again when they end. */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>)
  /** For one request, in milliseconds. Default 10,000. */
  readonly requestTimeoutMs?: number
}

export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}
