// The connection of one session: opened, watched, opened again, and ended for good where coming back is of no use.
// Does not know what the messages mean.

import { SyncKairosError, UnauthorizedError } from './errors.ts'
import { Heartbeat } from './heartbeat.ts'
import type { PageEvent } from './env.ts'
import type { Shared } from './client.ts'
import type { PongMessage, ServerMessage } from './types.ts'
import type { TokenReason } from './tokens.ts'

export type LinkPhase = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed'
export interface CloseReason { code: number; reason: string }

/** Who is told what comes. */
export interface LinkListener {
  phase(phase: LinkPhase, reason?: CloseReason): void
  message(message: ServerMessage): void
}

const HANDSHAKE_MS = 5_000
/** A connection that lived so long may be tried again soon. */
const STABLE_MS = 5_000
/** Clients of an instance that stops spread over this time. */
const SPREAD_MS = 5_000

export class Link {
  #shared: Shared
  #id: string
  #listener: LinkListener
  #socket: WebSocket | undefined
  #heartbeat: Heartbeat
  /** Names the present attempt: what comes of an earlier one is ignored. */
  #generation = 0
  #failures = 0
  #unopened = 0
  #retry: unknown
  #handshake: unknown
  #stable: unknown
  #reason: TokenReason = 'first'
  #isWanted = false
  phase: LinkPhase = 'idle'

  constructor(shared: Shared, id: string, listener: LinkListener) {
    this.#shared = shared
    this.#id = id
    this.#listener = listener
    const { env, clock, options } = shared
    this.#heartbeat = new Heartbeat(env, clock, options.pingMs, ping => this.send(ping), () => this.#cut())
  }

  open(): void {
    if (this.#isWanted) return
    this.#isWanted = true
    void this.#attempt()
  }

  /** Ends the connection; it can be opened again. */
  close(phase: LinkPhase = 'idle', reason?: CloseReason): void {
    this.#isWanted = false
    this.#drop(1000)
    this.#failures = this.#unopened = 0
    this.#reason = 'first'
    this.#tell(phase, reason)
  }

  /** Tries at once, whatever was; a connection that stands is given up for it. */
  reconnect(): void {
    if (!this.#isWanted && this.phase !== 'closed') return
    this.#isWanted = true
    this.#failures = 0
    this.#drop(1000)
    void this.#attempt()
  }

  /** Sends a message, if the connection stands. */
  send(message: object): boolean {
    if (this.phase !== 'connected' || this.#socket?.readyState !== 1) return false
    this.#socket.send(JSON.stringify(message))
    return true
  }

  /** The page was hidden or seen again, or the machine may have slept. */
  page(event: PageEvent): void {
    if (event === 'hidden') return this.#heartbeat.hide()
    if (this.phase === 'connected') this.#heartbeat.burst(true)
    else if (this.#retry !== undefined) this.reconnect()
  }

  async #attempt(): Promise<void> {
    const generation = ++this.#generation
    const isCurrent = () => generation === this.#generation
    const { env, tokens } = this.#shared
    this.#tell(this.phase === 'idle' || this.phase === 'connecting' ? 'connecting' : 'reconnecting')
    let token: string | undefined
    try {
      const reason = this.#reason
      this.#reason = 'first'
      token = await tokens.ask(reason, this.#id)
    } catch (error) {
      if (!isCurrent()) return
      if (error instanceof UnauthorizedError) return this.close('closed', { code: 401, reason: error.message })
      this.#shared.report(error)
      return this.#later()
    }
    if (!isCurrent()) return
    try {
      this.#connect(isCurrent, token)
    } catch (error) {
      this.#shared.report(error)
      return this.close('closed', { code: 0, reason: String(error) })
    }
    this.#handshake = env.setTimeout(() => this.#cut(), HANDSHAKE_MS)
  }

  #connect(isCurrent: () => boolean, token: string | undefined): void {
    const protocols = ['synckairos.v1']
    if (token) protocols.push('bearer.' + token)
    const WebSocket = this.#shared.webSocket()
    const url = this.#shared.base.replace(/^http/, 'ws') + '/ws?sessionId=' + this.#id
    const socket = this.#socket = new WebSocket(url, protocols)
    let hasOpened = false
    socket.onopen = () => { hasOpened = true }
    socket.onmessage = event => {
      if (isCurrent()) this.#receive(event.data)
    }
    // What an error is about is told by the close that follows.
    socket.onerror = () => {}
    socket.onclose = event => {
      if (isCurrent()) void this.#closed(event.code, event.reason, hasOpened)
    }
  }

  #receive(data: unknown): void {
    let message: ServerMessage
    try {
      message = JSON.parse(String(data))
    } catch {
      return
    }
    if (typeof message !== 'object' || !message) return
    if (message.type === 'CONNECTED' && this.phase !== 'connected') this.#connected()
    if (message.type === 'PONG') return void this.#heartbeat.pong(message as PongMessage)
    if (message.type === 'TOKEN_EXPIRING') void this.#renew()
    this.#listener.message(message)
  }

  #connected(): void {
    const { env } = this.#shared
    env.clearTimeout(this.#handshake)
    this.#unopened = 0
    this.#stable = env.setTimeout(() => { this.#failures = 0 }, STABLE_MS)
    this.#tell('connected')
    this.#heartbeat.burst()
  }

  /** Says who this is anew, on the connection that stands. */
  async #renew(): Promise<void> {
    const generation = this.#generation
    try {
      const token = await this.#shared.tokens.ask('expiring', this.#id)
      if (token && generation === this.#generation) this.send({ type: 'AUTH', token })
    } catch (error) {
      // The old one counts until it ends; then the server closes, and a new one is asked for again.
      this.#shared.report(error)
    }
  }

  /** The connection carries nothing any more, whatever the socket says. */
  #cut(): void {
    this.#drop(1000)
    this.#later()
  }

  async #closed(code: number, reason: string, hasOpened: boolean): Promise<void> {
    this.#drop()
    const isFinal = code === 1008 || (code >= 4500 && code <= 4999) || [1002, 1003, 1007, 1009, 1010].includes(code)
    if (isFinal) return this.close('closed', { code, reason })
    if (code === 4401) {
      if (!this.#shared.tokens.canAsk) return this.close('closed', { code, reason })
      this.#reason = 'expired'
    }
    this.#unopened = hasOpened ? 0 : this.#unopened + 1
    if (this.#unopened >= 2) return this.#learnWhy()
    this.#later(code === 1001 ? this.#shared.env.random() * SPREAD_MS : undefined)
  }

  /** Asks by a request why the socket does not open: pages cannot read the status of a handshake. */
  async #learnWhy(): Promise<void> {
    const generation = this.#generation
    this.#tell('reconnecting')
    let atLeast = 0
    try {
      await this.#shared.rest.request('GET', '/v1/sessions/' + this.#id, { sessionId: this.#id })
    } catch (error) {
      if (generation !== this.#generation) return
      const known = error instanceof SyncKairosError ? error : undefined
      // Who may watch need not be one who may read.
      const isAboutReading = known?.code === 'FORBIDDEN'
      if (known && (known.status === 401 || (known.status === 403 && !isAboutReading))) {
        return this.close('closed', { code: known.status, reason: known.message })
      }
      atLeast = known?.retryAfterMs ?? 0
    }
    if (generation === this.#generation) this.#later(undefined, atLeast)
  }

  /** Tries again after a pause: full jitter, which grows with each failure. */
  #later(afterMs?: number, atLeastMs = 0): void {
    const { env, options } = this.#shared
    const { minMs, maxMs } = options.reconnect
    const pause = afterMs ?? env.random() * Math.min(maxMs, minMs * 2 ** this.#failures)
    this.#failures++
    this.#retry = env.setTimeout(() => {
      this.#retry = undefined
      void this.#attempt()
    }, Math.max(pause, atLeastMs))
    this.#tell('reconnecting')
  }

  /** Forgets the socket and every timer. */
  #drop(code?: number): void {
    const { env } = this.#shared
    this.#generation++
    this.#heartbeat.stop()
    for (const timer of [this.#retry, this.#handshake, this.#stable]) env.clearTimeout(timer)
    this.#retry = undefined
    const socket = this.#socket
    this.#socket = undefined
    if (code !== undefined && socket && socket.readyState < 2) socket.close(code)
  }

  #tell(phase: LinkPhase, reason?: CloseReason): void {
    if (phase === this.phase && phase !== 'closed') return
    this.phase = phase
    this.#listener.phase(phase, reason)
  }
}
