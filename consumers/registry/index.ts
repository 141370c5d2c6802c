export { type ConfluentRegistry, type ConfluentRegistryOptions, confluentRegistry } from './confluent.ts'
export { directoryRegistry } from './directory.ts'
export { writableDirectoryRegistry } from './writable-directory.ts'
export type { RegistryAuth, RegistryTls } from './registry-http.ts'
