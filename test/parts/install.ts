import { findKafkaPackages } from './kafka.ts'
import { findKinesisPackages } from './kinesis.ts'
import { findMotoPackages } from './moto.ts'
import { findPython } from './python.ts'
import { findRegistryPackages } from './registry.ts'
import { findS3Packages } from './s3.ts'

/**
 * Downloads all parts that tests start, so that a slow registry of packages does not eat a test's time. Says what is
 * missing; with CI set that is a failure.
 */
const parts = await Promise.all([
  findKafkaPackages(),
  findRegistryPackages(),
  findS3Packages(),
  findKinesisPackages(),
  findMotoPackages(),
  findPython(),
])
const missing = parts.filter((part) => part.kind === 'missing')
for (const { reason } of missing) console.error(`parts · missing: ${reason}`)
console.log(`parts · ${parts.length - missing.length} of ${parts.length} ready`)
if (missing.length > 0 && process.env['CI'] !== undefined) process.exitCode = 1
