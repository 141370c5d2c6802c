import { avroSchema } from 'millrace'

export interface Frame {
  readonly receivedAt: number
  readonly reportedAt: number
  readonly devEui: string
  readonly devAddr: string
  readonly frameCounter: number
  readonly port: number
  readonly payloadSize: number
  readonly hotspot: string
  readonly rssi: number
  readonly snr: number
  readonly spreading: 'SF7BW125' | 'SF8BW125' | 'SF9BW125' | 'SF10BW125' | 'SF11BW125' | 'SF12BW125' | 'FSK50'
  readonly frequency: number
  readonly position: { readonly lat: number; readonly lon: number }
  readonly temperature: number | null
  readonly holdMs: number | null
}

export interface FrameKinds {
  readonly receivedAt: 'timestamp-millis'
  readonly reportedAt: 'timestamp-millis'
  readonly devEui: 'string'
  readonly devAddr: 'string'
  readonly frameCounter: 'int'
  readonly port: 'int'
  readonly payloadSize: 'int'
  readonly hotspot: 'string'
  readonly rssi: 'int'
  readonly snr: 'double'
  readonly spreading: 'enum'
  readonly frequency: 'double'
  readonly position: { readonly lat: 'double'; readonly lon: 'double' }
  readonly temperature: 'double?'
  readonly holdMs: 'int?'
}

export const Frame = avroSchema<Frame, FrameKinds>({})
