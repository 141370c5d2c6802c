import { expect, it } from 'vitest'
import { exitCodeOf, InvalidProgramError, usageError } from '../../src/cli/failure.ts'
import { AssertionError, PipelineError } from '../../src/errors.ts'

it.each([
  ['a wrong option of the command', usageError('no brokers', 'Name one.'), 2],
  ['a wrong option of run()', new PipelineError('OPTION_INVALID', 'flush.every is 0'), 2],
  ['a main file without a run()', new PipelineError('NOTHING_RUN', 'called no run()'), 2],
  ['a program that does not load', new InvalidProgramError('PROGRAM_NOT_FOUND', 'no file'), 2],
  ['the circuit breaker', new PipelineError('CIRCUIT_OPEN', 'too many dead letters'), 3],
  ['another process', new PipelineError('TAKEN_OVER', 'another process has taken over'), 4],
  ['the world', new PipelineError('KAFKA_UNREACHABLE', 'cannot reach Kafka'), 1],
  ['a mistake of Millrace', new AssertionError('never'), 1],
])('ends with the code that docs/cli.md says: %s', (_, error, code) => {
  expect(exitCodeOf(error)).toBe(code)
})
