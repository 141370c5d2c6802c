import type { S3Requests, UploadedPart } from './s3-client.ts'

/** Parts of one object on their way at the same time. */
const PARTS_AT_ONCE = 4
/** S3's limit. Larger objects get larger parts. */
const PARTS_MAX = 10_000

export interface Upload {
  /** The key in the bucket. */
  readonly name: string
  readonly body: Uint8Array
  readonly ifAbsent: boolean
  readonly partBytes: number
}

/** Calls again what may be called again. */
export type Trying = <T>(call: () => Promise<T>) => Promise<T>

/**
 * Uploads an object in parts, which nobody sees until the last request joins them. That one carries the condition, and is sent once,
 * like a conditional put. Where anything fails the parts are given up, as well as that goes: a lifecycle rule takes what a crash leaves.
 *
 * Throws the errors of the requests.
 */
export async function uploadInParts(requests: S3Requests, upload: Upload, trying: Trying): Promise<void> {
  const { name, body, ifAbsent } = upload
  const uploadId = await trying(() => requests.createUpload(name))
  try {
    const parts = await uploadParts(requests, upload, uploadId, trying)
    await requests.completeUpload(name, uploadId, parts, { ifAbsent, size: body.length })
  } catch (error) {
    // Where the answer of the last request was lost there may be nothing to give up any more.
    await requests.abortUpload(name, uploadId).catch(() => {})
    throw error
  }
}

async function uploadParts(
  requests: S3Requests,
  { name, body, partBytes }: Upload,
  uploadId: string,
  trying: Trying,
): Promise<readonly UploadedPart[]> {
  const bytes = Math.max(partBytes, Math.ceil(body.length / PARTS_MAX))
  const count = Math.ceil(body.length / bytes)
  const parts: UploadedPart[] = []
  let nextIndex = 0
  let hasFailed = false
  const work = async (): Promise<void> => {
    while (nextIndex < count && !hasFailed) {
      const index = nextIndex++
      const part = body.subarray(index * bytes, (index + 1) * bytes)
      try {
        parts[index] = await trying(() => requests.uploadPart(name, uploadId, index + 1, part))
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  // All are waited for: a part that arrives after the upload was given up would stay, and cost.
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(PARTS_AT_ONCE, count) }, work))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  return parts
}
