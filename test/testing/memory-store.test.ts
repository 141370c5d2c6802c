import { memoryStore } from '../../src/testing/memory-store.ts'
import { objectStoreContract } from '../contracts/object-store.ts'

objectStoreContract('memoryStore', async () => memoryStore())
