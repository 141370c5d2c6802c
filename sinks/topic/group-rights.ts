import { body, type RawRequest } from '../../src/kafka/client.ts'
import { WireReader } from '../../src/kafka/wire.ts'

export interface GroupRights {
  readonly errorCode: number
  /** Null where the broker does not say. */
  readonly mayRead: boolean | null
}

const READ = 1 << 3
/** The broker has been asked and does not know. */
const UNKNOWN = -(2 ** 31)

/** DescribeGroups v3, with what we may do to the group (KIP-430). A group that is not there has rights all the same. */
export function groupRightsRequest(groupId: string): RawRequest<GroupRights> {
  return {
    apiKey: 15,
    apiName: 'DescribeGroups',
    apiVersion: 3,
    isFlexible: false,
    //  groups [name], include_authorized_operations
    encode: () => body((out) => out.array([groupId], (id) => out.string(id)).boolean(true)),
    decode: (buffer) => {
      const input = new WireReader(buffer)
      input.int32() // throttle time
      const [group] = input.array(() => {
        const errorCode = input.int16()
        for (const _ of ['id', 'state', 'protocol type', 'protocol']) input.string()
        input.array(() => {
          for (const _ of ['id', 'client', 'host']) input.string()
          for (const _ of ['metadata', 'assignment']) input.bytes()
        })
        const operations = input.int32()
        return { errorCode, mayRead: operations === UNKNOWN ? null : (operations & READ) !== 0 }
      })
      return group ?? { errorCode: 0, mayRead: null }
    },
  }
}
