// Requests over HTTP: with a token, within a time, and with errors that a program can ask. Does not know what they
// mean.

import { SyncKairosError, UnauthorizedError, errorOf, unknownOutcome } from './errors.ts'
import type { Env } from './env.ts'
import type { Tokens } from './tokens.ts'
import type { ErrorBody } from './types.ts'

export interface RequestOptions {
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  timeoutMs?: number | undefined
  sessionId?: string
}

/** An answer that is no error. */
export interface Answer {
  status: number
  body: { data?: unknown; server_time_ms?: number; [member: string]: unknown }
  isReplayed: boolean
}

export class Rest {
  #base: string
  #fetch: typeof fetch
  #env: Env
  #tokens: Tokens
  #timeoutMs: number

  constructor(base: string, fetch: typeof globalThis.fetch, env: Env, tokens: Tokens, timeoutMs: number) {
    this.#base = base
    this.#fetch = fetch
    this.#env = env
    this.#tokens = tokens
    this.#timeoutMs = timeoutMs
  }

  /** Sends a request; a token that is refused is asked for anew, once. */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    let token = this.#tokens.current ?? await this.#tokens.ask('first', options.sessionId)
    for (let isFirst = true; ; isFirst = false) {
      try {
        return await this.#once(method, path, options, token)
      } catch (error) {
        const isRefused = error instanceof SyncKairosError && error.status === 401
        if (!isRefused) throw error
        if (!isFirst || !this.#tokens.canAsk) throw new UnauthorizedError(error.message, { status: 401, cause: error })
        const reason = error.code === 'TOKEN_EXPIRED' ? 'expired' : 'rejected'
        // Somebody else may have a new one already.
        const newer = this.#tokens.current !== token ? this.#tokens.current : undefined
        token = newer ?? await this.#tokens.ask(reason, options.sessionId)
      }
    }
  }

  async #once(method: string, path: string, options: RequestOptions, token: string | undefined): Promise<Answer> {
    const { body, signal } = options
    const timeout = new AbortController()
    const timer = this.#env.setTimeout(() => timeout.abort(), options.timeoutMs ?? this.#timeoutMs)
    const abort = () => timeout.abort()
    signal?.throwIfAborted()
    signal?.addEventListener('abort', abort)
    try {
      const headers: Record<string, string> = { ...options.headers }
      if (token) headers['Authorization'] = 'Bearer ' + token
      if (body !== undefined) headers['Content-Type'] = 'application/json'
      const init: RequestInit = { method, headers, signal: timeout.signal, cache: 'no-store' }
      if (body !== undefined) init.body = JSON.stringify(body)
      const fetch = this.#fetch
      const response = await fetch(this.#base + path, init)
      const text = await response.text()
      if (!response.ok) throw errorOf(response.status, parse(text)?.error, response.headers.get('Retry-After'))
      const isReplayed = response.headers.get('Idempotency-Replayed') === 'true'
      return { status: response.status, body: parse(text) ?? {}, isReplayed }
    } catch (error) {
      if (error instanceof SyncKairosError) throw error
      signal?.throwIfAborted()
      const what = timeout.signal.aborted ? 'The server did not answer in time' : 'The server cannot be reached'
      if (method !== 'GET') throw unknownOutcome(what, error)
      const code = timeout.signal.aborted ? 'TIMEOUT' : 'UNREACHABLE'
      throw new SyncKairosError(code, what, { isRetryable: true, cause: error })
    } finally {
      this.#env.clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  }
}

function parse(text: string): Answer['body'] & { error?: ErrorBody } | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === 'object' && value ? value : undefined
  } catch {
    return undefined
  }
}
