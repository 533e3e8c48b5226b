// One session as an application holds it: its newest state, its events and its commands, over every connection that
// there will be. Does not know sockets.

import { elapsed, isNewer, remaining, untilDeadline } from './clock.ts'
import { compare } from './changes.ts'
import { Commands } from './commands.ts'
import type { CallOptions, Command } from './commands.ts'
import { applyDelta } from './delta.ts'
import { Emitter } from './emitter.ts'
import { SyncKairosError } from './errors.ts'
import { Link } from './link.ts'
import type { CloseReason, LinkPhase } from './link.ts'
import type { Events, Snapshot, SwitchOutcome } from './snapshot.ts'
import { Thresholds } from './thresholds.ts'
import type { Threshold } from './thresholds.ts'
import { waitFor } from './wait.ts'
import type { Shared } from './client.ts'
import type { ServerMessage, SessionState, Settings, SwitchResult } from './types.ts'

/** Its events, and that the snapshot changed. */
interface All extends Events { snapshot(): void }

export class Session {
  readonly id: string
  #shared: Shared
  #link: Link
  #commands: Commands
  #thresholds: Thresholds
  #emitter: Emitter<All>
  #snapshot: Snapshot
  #holders = 0
  #linger: unknown
  #lost: unknown

  /** @internal */
  constructor(shared: Shared, id: string) {
    this.id = id
    this.#shared = shared
    this.#emitter = new Emitter(error => shared.report(error))
    this.#snapshot = Object.freeze({
      phase: 'idle', isLost: false, isSynced: shared.clock.isSynced, isDeleted: false,
    } as const)
    this.#link = new Link(shared, id, {
      phase: (phase, reason) => this.#phase(phase, reason), message: message => this.#message(message),
    })
    this.#commands = new Commands(shared, this.#link)
    const tell = (threshold: Threshold) => this.#emitter.emit('warning', threshold)
    this.#thresholds = new Thresholds(shared.env, () => this.now(), () => this.#link.phase === 'connected', tell)
  }

  get snapshot(): Snapshot { return this.#snapshot }
  get state(): SessionState | undefined { return this.#snapshot.state }

  /** The server's time. */
  now(): number { return this.#shared.clock.now() }

  remaining(participantId?: string, now: number = this.now()): number | undefined {
    return this.state && remaining(this.state, participantId, now)
  }

  elapsed(participantId: string, now: number = this.now()): number | undefined {
    return this.state && elapsed(this.state, participantId, now)
  }

  untilDeadline(now: number = this.now()): number | undefined {
    return this.state && untilDeadline(this.state, now)
  }

  /** Calls at every change of the snapshot, and holds the connection open until the answer is called. */
  subscribe = (listener: () => void): (() => void) => this.#listen('snapshot', listener)

  on<K extends keyof Events>(name: K, listener: Events[K]): () => void {
    return this.#listen(name, listener as All[K])
  }

  /** Calls when a clock falls to so much time. */
  at(remainingMs: number, f: (event: Threshold) => void, o: { participantId?: string } = {}): () => void {
    const release = this.#hold()
    const tell = (event: Threshold) => this.#emitter.guard(() => f(event))
    const end = this.#thresholds.watch(remainingMs, o.participantId, tell)
    return () => { end(); release() }
  }

  /** The state, when there is one: of a session that does not exist yet, when it is created. */
  async ready(o: { signal?: AbortSignal } = {}): Promise<SessionState> {
    const found = await waitFor(this.subscribe, () => {
      const { state, phase, isDeleted, closeReason } = this.#snapshot
      if (state && !isDeleted) return state
      if (phase !== 'closed') return undefined
      throw new SyncKairosError('CLOSED', closeReason?.reason || 'The session is closed', { details: closeReason })
    }, o.signal)
    return found!
  }

  start(o?: CallOptions): Promise<SessionState> { return this.#transition('START', o) }
  pause(o?: CallOptions): Promise<SessionState> { return this.#transition('PAUSE', o) }
  resume(o?: CallOptions): Promise<SessionState> { return this.#transition('RESUME', o) }
  complete(o?: CallOptions): Promise<SessionState> { return this.#transition('COMPLETE', o) }
  cancel(o?: CallOptions): Promise<SessionState> { return this.#transition('CANCEL', o) }

  /** Ends the turn that this client saw, or that of `from`: never another one. */
  async switch(o: { to?: string; from?: string } & CallOptions = {}): Promise<SwitchOutcome> {
    const state = this.state ?? (o.from ? undefined : await this.#read(o))
    const body: Record<string, unknown> = {}
    const from = o.from ?? state?.active_participant_id
    if (from) body['current_participant_id'] = from
    if (o.to) body['next_participant_id'] = o.to
    const outcome = await this.#command({ name: 'SWITCH', path: '/switch', body }, o)
    const result = outcome.data as SwitchResult
    const told: Omit<SwitchOutcome, 'state'> = { isLate: result.late === true }
    if (result.expired_participant_id) told.expiredParticipantId = result.expired_participant_id
    return { ...told, state: await this.#caughtUp(result, o) }
  }

  async update(patch: Settings, o?: CallOptions): Promise<SessionState> {
    const outcome = await this.#command({ name: 'PATCH', path: '', body: { ...patch } }, o)
    return this.#took(outcome.data as SessionState)
  }

  /** Tries to connect at once, if anybody listens. */
  reconnect(): void {
    if (this.#holders > 0 && !this.#shared.isClosed()) this.#link.reconnect()
  }

  /** @internal Takes a state in, whatever brought it; only a newer one counts. */
  apply(state: SessionState, timestamp?: number): void {
    if (timestamp !== undefined) this.#shared.clock.hear(timestamp)
    const previous = this.state
    if (!isNewer(state, previous)) return
    this.#set({ state, isDeleted: false })
    this.#follow()
    this.#emitter.emit('change', state, previous)
    if (previous) this.#compare(state, previous)
  }

  /** @internal What the whole client notices. */
  refresh(): void { this.#set({ isSynced: this.#shared.clock.isSynced }) }

  /** @internal */
  get link(): Link { return this.#link }

  /** @internal Ends it, with the client. */
  close(): void {
    this.#shared.env.clearTimeout(this.#linger)
    this.#link.close('closed', { code: 1000, reason: 'The client was closed' })
    this.#idle()
  }

  #compare(state: SessionState, previous: SessionState): void {
    const { gap, expired } = compare(state, previous)
    if (gap) this.#emitter.emit('gap', gap)
    for (const flag of expired) {
      this.#emitter.emit('expire', { ...flag, lateMs: Math.max(0, this.now() - flag.expiredAt) })
    }
  }

  #message(message: ServerMessage): void {
    const { clock } = this.#shared
    switch (message.type) {
      case 'CONNECTED': return clock.hear(message.timestamp)
      case 'STATE_SYNC':
      case 'STATE_UPDATE': return this.apply(message.state, message.timestamp)
      case 'STATE_DELTA': {
        const next = applyDelta(this.state, message)
        if (next) return this.apply(next, message.timestamp)
        const { epoch, version } = message
        if (this.state && !isNewer({ ...this.state, epoch, version }, this.state)) return
        return void this.#link.send({ type: 'RECONNECT' })
      }
      case 'SESSION_DELETED':
        this.#set({ isDeleted: true })
        this.#thresholds.follow(undefined)
        this.#emitter.emit('deleted')
        return this.#link.close('closed', { code: 1000, reason: message.reason ?? 'deleted' })
      case 'TIME_WARNING':
        return this.#thresholds.hear(message.participant_id, message.threshold_ms, message.time_remaining_ms)
      case 'RESULT': return this.#commands.result(message)
      // States say so, in every case.
      case 'TIME_EXPIRED':
      case 'AUTHENTICATED':
      case 'TOKEN_EXPIRING':
      case 'PONG': return
      case 'ERROR':
        if (message.code === 'SESSION_NOT_FOUND') return
        return this.#shared.report(new SyncKairosError(message.code, message.message))
      default: this.#emitter.emit('message', message)
    }
  }

  #phase(phase: LinkPhase, reason?: CloseReason): void {
    const { env, options } = this.#shared
    if (phase !== 'connected') this.#commands.lost()
    const isFine = phase === 'connected' || phase === 'idle' || this.#snapshot.isDeleted || this.#shared.isClosed()
    const { closeReason: _, ...rest } = this.#snapshot
    this.#snapshot = Object.freeze(rest)
    this.#set(reason ? { phase, closeReason: reason } : { phase })
    this.#emitter.emit('phase', phase, reason)
    if (isFine) {
      env.clearTimeout(this.#lost)
      this.#lost = undefined
      this.#setLost(false)
    } else this.#lost ??= env.setTimeout(() => this.#setLost(true), options.lostAfterMs)
  }

  #setLost(isLost: boolean): void {
    if (isLost === this.#snapshot.isLost) return
    this.#set({ isLost })
    this.#emitter.emit('lost', isLost)
  }

  #set(change: Partial<Snapshot>): void {
    const isNew = Object.entries(change).some(([name, value]) => this.#snapshot[name as keyof Snapshot] !== value)
    if (!isNew) return
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...change })
    this.#emitter.emit('snapshot')
  }

  #listen<K extends keyof All>(name: K, listener: All[K]): () => void {
    const end = this.#emitter.add(name, listener as All[K] & (() => void))
    const release = this.#hold()
    return () => { end(); release() }
  }

  /** Holds the connection open, for one that listens. */
  #hold(): () => void {
    const { env, options } = this.#shared
    env.clearTimeout(this.#linger)
    this.#holders++
    this.#shared.hold(this)
    this.#follow()
    this.#link.open()
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (--this.#holders === 0) this.#linger = env.setTimeout(() => this.#idle(), options.lingerMs)
    }
  }

  #idle(): void {
    this.#thresholds.follow(undefined)
    this.#shared.release(this)
    if (this.#link.phase !== 'closed' || !this.#shared.isClosed()) this.#link.close()
  }

  #follow(): void {
    this.#thresholds.follow(this.#holders > 0 && !this.#snapshot.isDeleted ? this.state : undefined)
  }

  async #read(o: CallOptions = {}): Promise<SessionState | undefined> {
    try {
      return await this.#shared.get(this.id, o)
    } catch (error) {
      // Who may switch need not be one who may read.
      if (error instanceof SyncKairosError && error.status === 403) return this.state
      throw error
    }
  }

  #command(command: Command, o: CallOptions = {}): ReturnType<Commands['run']> {
    return this.#commands.run({ ...command, path: '/v1/sessions/' + this.id + command.path }, o, this.state)
  }

  async #transition(name: Command['name'], o?: CallOptions): Promise<SessionState> {
    const outcome = await this.#command({ name, path: '/' + name.toLowerCase() }, o)
    return this.#took(outcome.data as SessionState)
  }

  /** Takes in the state that a command made; a newer one may have come before. */
  #took(state: SessionState): SessionState {
    this.apply(state)
    return state
  }

  /** The state that shows what a switch did: the connection brings it, or it is read. */
  async #caughtUp(result: SwitchResult, o: CallOptions): Promise<SessionState> {
    const isShown = () => (this.state?.version ?? 0) >= result.version
    if (this.#link.phase === 'connected' && !isShown()) {
      const isOver = () => isShown() || this.#link.phase !== 'connected' || undefined
      const { env, options } = this.#shared
      const within = { env, timeoutMs: o.timeoutMs ?? options.commandTimeoutMs }
      await waitFor(this.subscribe, isOver, o.signal, within)
    }
    const state = isShown() && this.#link.phase === 'connected' ? this.state : await this.#read(o)
    if (!state) throw new SyncKairosError('FORBIDDEN', 'The switch was made, but its session may not be read')
    return state
  }
}
