/**
 * The same pipeline on Kinesis: a stream in, a lake in a folder, results in another stream. `npm run example:kinesis` runs it against a stand-in that it starts
 * itself; on AWS the region and the credentials come from the environment, as for every AWS tool:
 *
 *   npx millrace produce --recording examples/lorawan/frames.avro --stream frames --create-stream --shards 3 --aggregate
 *   npx millrace run examples/lorawan/kinesis.ts
 */
import { minutes, run, seconds } from 'millrace'
import { kinesis } from 'millrace/consumers/kinesis'
import { directoryRegistry, writableDirectoryRegistry } from 'millrace/consumers/registry'
import { directory } from 'millrace/sinks/directory'
import { kinesisStreams } from 'millrace/sinks/kinesis'
import lorawan from './lorawan.ts'

const lake = process.env['MILLRACE_LAKE'] ?? './lake-kinesis'
const endpoint = process.env['MILLRACE_KINESIS_ENDPOINT']
const place = endpoint === undefined ? {} : { endpoint }

await run(lorawan, {
  source: kinesis({
    ...place,
    stream: 'frames',
    registry: directoryRegistry('examples/lorawan/registry'),
    refreshEvery: minutes(1),
  }),
  lake: directory(lake),
  // At least once: each record has an id that it keeps when it comes again.
  topics: kinesisStreams({
    ...place,
    registry: writableDirectoryRegistry(`${lake}-schemas`),
    createStreams: { shards: 1 },
  }),
  flush: { every: seconds(5) },
})
