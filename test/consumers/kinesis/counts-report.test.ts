import { expect, it } from 'vitest'
import { CountsReport } from '../../../consumers/kinesis/counts-report.ts'
import { KinesisCounts } from '../../../src/kinesis/counts.ts'
import { StepClock } from '../../kinesis/step-clock.ts'
import { collectingLog, type LogLine } from '../../support/collecting-log.ts'

it('does not say of records that were left out that they were tried again', () => {
  const counts = new KinesisCounts()
  const lines: LogLine[] = []
  const report = new CountsReport(counts, 'trips', { clock: new StepClock(), log: collectingLog(lines) })
  counts.add('throttled', 2)
  counts.add('foreignRecords', 21)
  report.stop()
  expect(lines.map(({ fields }) => fields)).toEqual([
    { stream: 'trips', throttled: 2 },
    { stream: 'trips', foreignRecords: 21 },
  ])
  expect(lines[1]!.message).toContain('left out')
  expect(lines[1]!.message).not.toContain('tried again')
})
