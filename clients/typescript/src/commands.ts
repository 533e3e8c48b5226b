// Commands: over the connection while it stands, else as requests. One whose outcome is unknown is repeated under the
// same key, and only if the state is still the one that was seen. Does not know who listens.

import { SyncKairosError, errorOf, unknownOutcome } from './errors.ts'
import { uuid } from './env.ts'
import type { Shared } from './client.ts'
import type { ResultMessage } from './types.ts'

export interface CallOptions {
  signal?: AbortSignal
  timeoutMs?: number
  /** The state that the command is about; another one is a CONFLICT. */
  ifVersion?: { epoch: number; version: number }
  /** Whether a command of unknown outcome is repeated where that is safe; by default it is. */
  retry?: 'safe' | 'never'
}

/** A command as both ways of sending it need it. */
export interface Command {
  name: 'START' | 'PAUSE' | 'RESUME' | 'SWITCH' | 'COMPLETE' | 'CANCEL' | 'PATCH' | 'POST' | 'DELETE'
  path: string
  body?: Record<string, unknown>
}

/** What a command came to. */
export interface Outcome {
  status: number
  data: unknown
  timestamp: number | undefined
}

/** The connection that commands go over. */
export interface Carrier {
  send(message: object): boolean
}

/** How often a command is sent at most. */
const TRIES = 3

export class Commands {
  #shared: Shared
  #carrier: Carrier | undefined
  #waiting = new Map<string, { settle: (outcome: Outcome) => void; fail: (error: unknown) => void }>()

  constructor(shared: Shared, carrier?: Carrier) {
    this.#shared = shared
    this.#carrier = carrier
  }

  /** Carries a command out. `seen` is the state that whoever gives it knew. */
  async run(command: Command, o: CallOptions = {}, seen?: { epoch: number; version: number }): Promise<Outcome> {
    const key = uuid()
    // Only SWITCH can name a version there, and none an epoch.
    const isOverSocket = this.#shared.options.commands === 'auto' && !o.ifVersion && isMessage(command.name)
    for (let n = 1; ; n++) {
      o.signal?.throwIfAborted()
      try {
        const sent = n === 1 && isOverSocket ? this.#overSocket(command, key, o) : undefined
        // A repetition does nothing to another state than the one that was seen, unless it was carried out already.
        return await (sent ?? this.#overRest(command, key, o, n > 1 ? o.ifVersion ?? seen : o.ifVersion))
      } catch (error) {
        const isUnknown = error instanceof SyncKairosError && error.isUnknownOutcome
        if (!isUnknown || n === TRIES || o.retry === 'never') throw error
        // A connection that could not be made is tried again a little later.
        if (n > 1) await this.#pause()
      }
    }
  }

  /** The answer to a command that was sent over the connection. */
  result(message: ResultMessage): void {
    const waiting = this.#waiting.get(message.request_id)
    if (!waiting) return
    if (message.error) waiting.fail(errorOf(message.status, message.error))
    else waiting.settle({ status: message.status, data: message.data, timestamp: message.server_time_ms })
  }

  /** The connection is gone, and with it the answers. */
  lost(): void {
    for (const { fail } of [...this.#waiting.values()]) fail(unknownOutcome('The connection ended before the answer'))
  }

  #overSocket(command: Command, key: string, o: CallOptions): Promise<Outcome> | undefined {
    const message = { type: command.name, request_id: key, idempotency_key: key, ...command.body }
    if (!this.#carrier?.send(message)) return undefined
    const { env, options } = this.#shared
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(key)
        env.clearTimeout(timer)
        o.signal?.removeEventListener('abort', abort)
      }
      const fail = (error: unknown) => {
        end()
        reject(error)
      }
      const settle = (outcome: Outcome) => {
        end()
        resolve(outcome)
      }
      const abort = () => fail(o.signal?.reason)
      const late = () => fail(unknownOutcome('The server did not answer in time'))
      const timer = env.setTimeout(late, o.timeoutMs ?? options.commandTimeoutMs)
      o.signal?.addEventListener('abort', abort)
      this.#waiting.set(key, { settle, fail })
    })
  }

  async #overRest(
    command: Command, key: string, o: CallOptions, match: { epoch: number; version: number } | undefined,
  ): Promise<Outcome> {
    const headers: Record<string, string> = { 'Idempotency-Key': key }
    if (match) headers['If-Match'] = `"${match.epoch}.${match.version}"`
    const method = command.name === 'PATCH' || command.name === 'DELETE' ? command.name : 'POST'
    const answer = await this.#shared.rest.request(method, command.path, {
      body: command.body, headers, signal: o.signal, timeoutMs: o.timeoutMs ?? this.#shared.options.commandTimeoutMs,
    })
    return { status: answer.status, data: answer.body.data, timestamp: answer.body.server_time_ms }
  }

  #pause(): Promise<void> {
    const { env, options } = this.#shared
    return new Promise(resolve => env.setTimeout(resolve, env.random() * options.reconnect.minMs))
  }
}

function isMessage(name: Command['name']): boolean {
  return name !== 'PATCH' && name !== 'POST' && name !== 'DELETE'
}
