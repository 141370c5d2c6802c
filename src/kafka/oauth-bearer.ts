/** How kafkajs calls an authenticator: bytes have their length in front, in both directions. */
interface Exchange {
  readonly saslAuthenticate: (step: {
    readonly request: { encode(): Promise<Buffer> }
    readonly response: { decode(bytes: Buffer): Promise<Buffer>; parse(bytes: Buffer): Promise<string> }
  }) => Promise<string | void>
}

const SEPARATOR = '\u0001'

/**
 * SASL OAUTHBEARER (RFC 7628) in place of kafkajs's, which does not look at the answer: to a token that it refuses a broker answers with the reason
 * and waits for one byte before it fails, and kafkajs goes on as if it had been let in.
 */
export function oauthBearer(
  token: () => Promise<string>,
): (exchange: Exchange) => { authenticate(): Promise<void> } {
  return ({ saslAuthenticate }) => ({
    authenticate: async () => {
      const step = (text: string): Promise<string | void> =>
        saslAuthenticate({
          request: { encode: async () => withLength(text) },
          response: {
            decode: async (bytes) => bytes.subarray(4),
            parse: async (bytes) => bytes.toString('utf8'),
          },
        })
      const refusal = await step(`n,,${SEPARATOR}auth=Bearer ${await token()}${SEPARATOR}${SEPARATOR}`)
      if (refusal === undefined || refusal === '') return
      await step(SEPARATOR)
      throw Object.assign(new Error(`the broker refuses the token: ${refusal}`), {
        type: 'SASL_AUTHENTICATION_FAILED',
      })
    },
  })
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
