import { messageOf, PipelineError } from '../src/errors.ts'

/** What may go away by itself: too many open files, a busy file, a network file system that is away. */
const TRANSIENT = new Set(['EAGAIN', 'EBUSY', 'EMFILE', 'ENFILE', 'EINTR', 'ETIMEDOUT', 'ESTALE', 'ENOMEM'])
const NOT_WRITABLE = new Set(['EACCES', 'EPERM', 'EROFS'])
const FULL = new Set(['ENOSPC', 'EDQUOT'])
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** 'ENOENT' and its like; '' where the error is not the system's. */
export function errnoOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return code ?? ''
}

export function ambiguousError(path: string, error: unknown): PipelineError {
  return new PipelineError(
    'STORE_AMBIGUOUS',
    `${path} was written but may not be durable: ${messageOf(error)}`,
    {
      retryable: true,
      cause: error,
    },
  )
}

export function writeError(path: string, error: unknown): PipelineError {
  if (error instanceof PipelineError) return error
  const errno = errnoOf(error)
  if (NOT_WRITABLE.has(errno)) {
    return new PipelineError('STORE_NOT_WRITABLE', `Cannot write ${path}: ${messageOf(error)}`, {
      advice: 'Give this user the right to write to the folder of the lake, or choose another folder.',
      cause: error,
    })
  }
  if (FULL.has(errno)) {
    return new PipelineError('STORE_FULL', `No space is left to write ${path}: ${messageOf(error)}`, {
      advice:
        'Free space on that file system, then start again: nothing was lost, and what was done stays done.',
      cause: error,
    })
  }
  if (errno === 'ENAMETOOLONG') {
    return new PipelineError('STORE_BAD_KEY', `A name is too long for this file system: ${path}`, {
      advice: 'Partition by a column with shorter values.',
      cause: error,
    })
  }
  if (errno === 'ENOTDIR' || errno === 'EEXIST' || errno === 'EISDIR') {
    return new PipelineError(
      'STORE_FAILED',
      `Cannot write ${path}: a file stands where a folder is needed, or the other way round.`,
      {
        advice: 'Move the file away, or choose another folder for the lake.',
        cause: error,
      },
    )
  }
  return new PipelineError('STORE_FAILED', `Cannot write ${path}: ${messageOf(error)}`, {
    retryable: TRANSIENT.has(errno),
    cause: error,
  })
}

export function linkError(path: string, error: unknown): PipelineError {
  const errno = errnoOf(error)
  if (errno === 'EXDEV') {
    return new PipelineError(
      'STORE_NO_LINKS',
      `${path} is on another file system than the root of the lake.`,
      {
        advice: 'Keep the whole lake on one file system.',
        cause: error,
      },
    )
  }
  if (NO_LINKS.has(errno)) {
    return new PipelineError('STORE_NO_LINKS', `Cannot link ${path}: ${messageOf(error)}`, {
      advice:
        'Exactly-once needs a file system with hard links (not FAT, exFAT or some network shares) in a folder this user may write to.',
      cause: error,
    })
  }
  return writeError(path, error)
}

export function readError(path: string, error: unknown): PipelineError {
  const errno = errnoOf(error)
  const forbidden = NOT_WRITABLE.has(errno)
  return new PipelineError('STORE_FAILED', `Cannot read ${path}: ${messageOf(error)}`, {
    retryable: TRANSIENT.has(errno),
    cause: error,
    ...(forbidden ? { advice: 'Give this user the right to read the folder of the lake.' } : {}),
  })
}
