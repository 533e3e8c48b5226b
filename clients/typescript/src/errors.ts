// What goes wrong, as one class that a program can ask. Does not know how anything is sent.

import type { ErrorBody } from './types.ts'

/** What an error is told beside its words. */
export interface ErrorFacts {
  status?: number
  details?: unknown
  retryAfterMs?: number | undefined
  isRetryable?: boolean
  isUnknownOutcome?: boolean
  cause?: unknown
}

export class SyncKairosError extends Error {
  override name = 'SyncKairosError'
  /** The server's code, or one of ours: UNREACHABLE, TIMEOUT, UNKNOWN_OUTCOME, UNAUTHORIZED, UNSUPPORTED, CLOSED. */
  readonly code: string
  /** The status of REST; 0 when no answer came. */
  readonly status: number
  readonly details: unknown
  /** How long to wait before the next try. */
  readonly retryAfterMs: number | undefined
  /** Whether nothing was done, and the same may work later. */
  readonly isRetryable: boolean
  /** Whether it is not known if the command was carried out. */
  readonly isUnknownOutcome: boolean

  constructor(code: string, message: string, facts: ErrorFacts = {}) {
    super(message, { cause: facts.cause })
    this.code = code
    this.status = facts.status ?? 0
    this.details = facts.details
    this.retryAfterMs = facts.retryAfterMs
    this.isRetryable = facts.isRetryable ?? false
    this.isUnknownOutcome = facts.isUnknownOutcome ?? false
  }
}

/** What `getToken` throws when there is no token to be had: the client does not come back. */
export class UnauthorizedError extends SyncKairosError {
  override name = 'UnauthorizedError'
  constructor(message = 'There is no token', facts: ErrorFacts = {}) {
    super('UNAUTHORIZED', message, facts)
  }
}

/** The server does not know what was asked of it. */
export class UnsupportedError extends SyncKairosError {
  override name = 'UnsupportedError'
  constructor(message: string, facts: ErrorFacts = {}) {
    super('UNSUPPORTED', message, facts)
  }
}

/** The error that an answer tells. */
export function errorOf(status: number, body: ErrorBody | undefined, retryAfter?: string | null): SyncKairosError {
  const code = body?.code ?? 'HTTP_' + status
  const seconds = body?.retry_after_seconds ?? Number(retryAfter || NaN)
  // Proxies say 502 and 504 when they do not know what became of a request.
  const isUnknownOutcome = code === 'UNKNOWN_OUTCOME' || (!body && (status === 502 || status === 504))
  const isRetryable = !isUnknownOutcome && (status === 429 || status === 503)
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined
  return new SyncKairosError(code, body?.message ?? 'The server answered ' + status, {
    status, details: body?.details, retryAfterMs, isRetryable, isUnknownOutcome,
  })
}

/** Nothing is known of what became of a request. */
export function unknownOutcome(message: string, cause?: unknown): SyncKairosError {
  return new SyncKairosError('UNKNOWN_OUTCOME', message, { isUnknownOutcome: true, cause })
}
