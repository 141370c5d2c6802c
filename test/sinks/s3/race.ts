// Run as a process of its own: tries to create thirty objects, and prints which of them it created.
import { s3Store } from '../../../sinks/s3/s3-store.ts'

const [bucket = '', name = ''] = process.argv.slice(2)
const store = s3Store({ bucket, prefix: 'race' })
// Both wait for each other, so that they race.
await store.put(`ready/${name}`, new Uint8Array(1))
while ((await store.list('ready/')).length < 2);
const won: boolean[] = []
for (let round = 0; round < 30; round++) {
  won.push((await store.putIfAbsent(`${round}`, new TextEncoder().encode(name))) === 'created')
}
process.stdout.write(JSON.stringify(won))
await store.close?.()
