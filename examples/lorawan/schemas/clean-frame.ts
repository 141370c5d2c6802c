import { avroSchema } from 'millrace'

export interface CleanFrame {
  readonly receivedAt: number
  readonly devEui: string
  readonly devAddr: string
  readonly frameCounter: number
  readonly port: number
  readonly spreadingFactor: number
  readonly rssi: number
  readonly snr: number
  readonly hotspot: string
  readonly position: { readonly lat: number; readonly lon: number } | null
  readonly temperature: number | null
  readonly heldSeconds: number
}

export interface CleanFrameKinds {
  readonly receivedAt: 'timestamp-millis'
  readonly devEui: 'string'
  readonly devAddr: 'string'
  readonly frameCounter: 'int'
  readonly port: 'int'
  readonly spreadingFactor: 'int'
  readonly rssi: 'int'
  readonly snr: 'double'
  readonly hotspot: 'string'
  readonly position: 'record?'
  readonly temperature: 'double?'
  readonly heldSeconds: 'double'
}

export const CleanFrame = avroSchema<CleanFrame, CleanFrameKinds>({})
