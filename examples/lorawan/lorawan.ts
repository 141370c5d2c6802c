import {
  between,
  boundedOutOfOrderness,
  bronze,
  days,
  gold,
  hours,
  matches,
  minutes,
  month,
  pipeline,
  silver,
  stream,
  topic,
  tumbling,
} from 'millrace'
import { CleanFrame } from './schemas/clean-frame.ts'
import { Frame } from './schemas/frame.ts'

// Within a partition 99.99 % of the reports are less than 15 minutes behind the newest one. Of the four that are further behind,
// three are copies of frames that had been reported in time. No clock is ahead of its arrival, so an hour is generous.
// The quietest device is silent for less than three hours in 99 % of its gaps: after twice that a partition is idle. That is for a
// live topic and for replays at a pace: at full speed, a replay waits for what is in the file.
const frames = stream('frames', Frame, {
  eventTime: 'receivedAt',
  watermark: boundedOutOfOrderness(minutes(15), { idleAfter: hours(6), futureLimit: hours(1) }),
})

// Several hotspots hear one frame, and devices repeat a frame that nobody confirms: all but the first report go.
// Half of the copies come within 16 s of each other, 99 % within 26 minutes; a counter does not come back so soon.
const cleanFrames = frames
  .expect('plausible', {
    devEui: matches(/^[0-9A-F]{16}$/),
    rssi: between(-150, 0),
    snr: between(-30, 20),
    temperature: between(-40, 85),
    'position.lat': between(-90, 90),
    'position.lon': between(-180, 180),
  })
  .dedupe('first_report', { by: ['devEui', 'devAddr', 'frameCounter'], within: hours(1) })
  .map('clean', CleanFrame, (frame) => ({
    receivedAt: frame.receivedAt,
    devEui: frame.devEui,
    devAddr: frame.devAddr,
    frameCounter: frame.frameCounter,
    port: frame.port,
    spreadingFactor: spreadingFactor(frame.spreading),
    rssi: frame.rssi,
    snr: frame.snr,
    hotspot: frame.hotspot,
    position: frame.position.lat < -89.9 ? null : { lat: frame.position.lat, lon: frame.position.lon },
    temperature: frame.temperature,
    heldSeconds: (frame.reportedAt - frame.receivedAt) / 1000,
  }))

const deviceHours = cleanFrames
  .keyBy('devEui')
  .window(tumbling(hours(1)), { allowedLateness: minutes(30) })
  .aggregate('device_hours', ({ count, avg, min, max }) => ({
    frames: count(),
    avgRssi: avg('rssi'),
    maxSnr: max('snr'),
    minTemperature: min('temperature'),
    maxTemperature: max('temperature'),
  }))

const spreadingDays = cleanFrames
  .keyBy('spreadingFactor')
  .window(tumbling(days(1)), { allowedLateness: hours(1) })
  .aggregate('spreading_days', ({ count, avg, max }) => ({
    frames: count(),
    avgRssi: avg('rssi'),
    avgSnr: avg('snr'),
    longestHeldSeconds: max('heldSeconds'),
  }))

export default pipeline({
  name: 'lorawan',
  tables: [
    bronze('frames', frames, { partitionBy: month('_ingested_at') }),
    silver('frames', cleanFrames, { partitionBy: month('receivedAt') }),
    gold('device_hours', deviceHours),
    gold('spreading_days', spreadingDays),
  ],
  // For those who want each result as it is ready. A replay leaves topics out.
  topics: [topic('frames.device-hours', deviceHours)],
})

/** SF12BW125 is 12. What it throws makes a dead letter of the row, reason 'processing'. */
function spreadingFactor(spreading: string): number {
  const factor = /^SF(\d+)BW/.exec(spreading)?.[1]
  if (factor === undefined) throw new Error(`${spreading} has no spreading factor`)
  return Number(factor)
}
