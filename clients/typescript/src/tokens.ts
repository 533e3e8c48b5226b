// The token that the application hands out: asked for by one at a time, for all sessions. Does not know what it is
// sent in.

import { UnauthorizedError } from './errors.ts'

export type TokenReason = 'first' | 'expiring' | 'expired' | 'rejected'
export interface TokenContext { reason: TokenReason; sessionId?: string }
export type GetToken = (context: TokenContext) => string | Promise<string>

export class Tokens {
  #get: GetToken | undefined
  #pending: Promise<string> | undefined
  /** The last that was handed out. */
  current: string | undefined

  constructor(get: GetToken | undefined) {
    this.#get = get
  }

  /** Whether the application hands out tokens at all. */
  get canAsk(): boolean {
    return !!this.#get
  }

  /** Asks, or waits for whoever is asking. Undefined where there are no tokens. */
  ask(reason: TokenReason, sessionId?: string): Promise<string> | undefined {
    const get = this.#get
    if (!get) return undefined
    const asking = async () => {
      try {
        const token = await get(sessionId ? { reason, sessionId } : { reason })
        if (!token) throw new UnauthorizedError()
        return this.current = token
      } finally {
        this.#pending = undefined
      }
    }
    return this.#pending ??= asking()
  }
}
