export { type ConfluentRegistry, type ConfluentRegistryOptions, confluentRegistry } from './confluent.ts'
export { directoryRegistry } from './directory.ts'
export type { RegistryAuth, RegistryTls } from './registry-http.ts'
