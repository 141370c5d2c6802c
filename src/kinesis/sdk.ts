/** The one place that imports the SDK's client of Kinesis. */
export * from '@aws-sdk/client-kinesis'
