import type { KinesisApi } from '../kinesis/api.ts'
import { KinesisClientApi } from '../kinesis/client.ts'
import type { Log } from '../ports.ts'
import { systemClock } from '../runtime/system.ts'
import { kinesisPlace, type NamedKinesis } from './kinesis-place.ts'

/** The Kinesis that a command names. To be imported when it is needed: the AWS client takes its time to load. */
export function openKinesis(named: NamedKinesis, log: Log): KinesisApi {
  return new KinesisClientApi(kinesisPlace(named), { clock: systemClock, log })
}
