/// <reference lib="esnext.disposable" preserve="true" />
// The client of one server: what all its sessions share, and what is asked without one. Opens nothing by itself.

import { Commands } from './commands.ts'
import type { CallOptions } from './commands.ts'
import { SyncKairosError, UnsupportedError } from './errors.ts'
import { platform, uuid } from './env.ts'
import type { Env } from './env.ts'
import { Rest } from './rest.ts'
import { ServerClock } from './server_clock.ts'
import { Session } from './session.ts'
import { Tokens } from './tokens.ts'
import type { GetToken } from './tokens.ts'
import type { Change, NewSession, SessionState, SessionSummary } from './types.ts'

export interface ClientOptions {
  /** `https://host[:port]`, with a path if the server has one; empty for the page's own. */
  url: string
  /** Asked before every connection, and when a token ends or is refused. Throw UnauthorizedError when there is none. */
  getToken?: GetToken
  /** Where the platform has none, such as Node 20: that of the package `ws`. */
  WebSocket?: unknown
  fetch?: typeof fetch
  /** `auto`: over the socket while it is connected. */
  commands?: 'auto' | 'rest'
  reconnect?: { minMs?: number; maxMs?: number }
  commandTimeoutMs?: number
  pingMs?: number
  lostAfterMs?: number
  /** How long a connection stays when nobody listens any more. */
  lingerMs?: number
  /** What a listener threw, and what could not be told otherwise. */
  onError?: (error: unknown) => void
  env?: Env
}

export interface ClientClock {
  /** The server's time, in milliseconds since 1970, with fractions. */
  now(): number
  /** How far off it can be. */
  readonly errorMs: number
  /** How far it is ahead of this machine's clock. */
  readonly offsetMs: number
  readonly isSynced: boolean
  /** Measures by requests, where there is no connection. */
  sync(): Promise<void>
}

export interface Query {
  status?: string
  sync_mode?: string
  created_after?: string
  created_before?: string
  order?: 'deadline'
  limit?: number
  [condition: `metadata.${string}`]: string
}

/** What all parts of a client share. */
export interface Shared {
  readonly env: Env
  readonly clock: ServerClock
  readonly tokens: Tokens
  readonly rest: Rest
  readonly options: {
    commands: 'auto' | 'rest'
    reconnect: { minMs: number; maxMs: number }
    commandTimeoutMs: number
    pingMs: number
    lostAfterMs: number
    lingerMs: number
  }
  readonly base: string
  webSocket(): typeof WebSocket
  report(error: unknown): void
  get(id: string, o?: CallOptions): Promise<SessionState>
  hold(session: Session): void
  release(session: Session): void
  isClosed(): boolean
}

/** How many requests measure a clock. */
const SAMPLES = 5

export class Client {
  readonly clock: ClientClock
  #shared: Shared
  #sessions = new Map<string, WeakRef<Session>>()
  #gone: FinalizationRegistry<string> = new FinalizationRegistry(id => {
    if (!this.#sessions.get(id)?.deref()) this.#sessions.delete(id)
  })
  #held = new Set<Session>()
  #unlisten: (() => void) | undefined
  #isClosed = false

  constructor(given: ClientOptions) {
    const env = given.env ?? platform()
    const clock = new ServerClock(env)
    const base = given.url.replace(/\/+$/, '') || globalThis.location?.origin || ''
    const tokens = new Tokens(given.getToken)
    const options = {
      commands: 'auto' as const, commandTimeoutMs: 5_000, pingMs: 10_000, lostAfterMs: 5_000, lingerMs: 5_000,
      ...given, reconnect: { minMs: 250, maxMs: 20_000, ...given.reconnect },
    }
    const fetch: typeof globalThis.fetch = given.fetch ?? ((...request) => globalThis.fetch(...request))
    const report = (error: unknown) => {
      if (given.onError) given.onError(error)
      else if (typeof reportError === 'function') reportError(error)
      else console.error(error)
    }
    this.#shared = {
      env, clock, tokens, options, base, report,
      rest: new Rest(base, fetch, env, tokens, options.commandTimeoutMs),
      webSocket: () => {
        const found = (given.WebSocket ?? globalThis.WebSocket) as typeof WebSocket | undefined
        if (!found) throw new UnsupportedError('There is no WebSocket here: give one as the option WebSocket')
        return found
      },
      get: (id, o) => this.get(id, o),
      hold: session => this.#hold(session),
      release: session => this.#release(session),
      isClosed: () => this.#isClosed,
    }
    clock.onSleep = () => this.#held.forEach(session => session.link.page('woken'))
    clock.onSync = () => this.#held.forEach(session => session.refresh())
    this.clock = {
      now: () => clock.now(),
      get errorMs() { return clock.errorMs },
      get offsetMs() { return clock.offsetMs },
      get isSynced() { return clock.isSynced },
      sync: () => this.#sync(),
    }
    if (Symbol.dispose) (this as { [Symbol.dispose]?: () => void })[Symbol.dispose] = () => this.close()
  }

  /** The session of an id: the same object while it is in use. */
  session(id: string): Session {
    const name = id.toLowerCase()
    const known = this.#sessions.get(name)?.deref()
    if (known) return known
    const session = new Session(this.#shared, name)
    this.#sessions.set(name, new WeakRef(session))
    this.#gone.register(session, name)
    return session
  }

  async create(n: NewSession, o: CallOptions = {}): Promise<Session> {
    const body = { session_id: uuid(), ...n }
    const { data, timestamp } = await this.#run('POST', '/v1/sessions', o, body)
    const state = data as SessionState
    if (n.time_control !== undefined && !state.time_controls) {
      const details = { session_id: state.session_id }
      throw new UnsupportedError('The server knows no time controls: it made a session without', { details })
    }
    const session = this.session(state.session_id)
    session.apply(state, timestamp)
    return session
  }

  async get(id: string, o: CallOptions = {}): Promise<SessionState> {
    const path = '/v1/sessions/' + encodeURIComponent(id)
    const { body } = await this.#shared.rest.request('GET', path, { ...o, sessionId: id })
    const state = body.data as SessionState
    this.#sessions.get(id.toLowerCase())?.deref()?.apply(state, body.server_time_ms)
    return state
  }

  async delete(id: string, o: CallOptions = {}): Promise<void> {
    await this.#run('DELETE', '/v1/sessions/' + encodeURIComponent(id), o)
  }

  /** Sessions, page by page. */
  async *list(query: Query = {}): AsyncIterable<SessionSummary> {
    let cursor: string | undefined
    do {
      const { body } = await this.#shared.rest.request('GET', '/v1/sessions' + search({ ...query, cursor }))
      yield* body.data as SessionSummary[]
      cursor = body['next'] as string | undefined
    } while (cursor)
  }

  /** A session's history, oldest first, page by page. */
  async *history(id: string, o: { after?: string; limit?: number } = {}): AsyncIterable<Change> {
    let { after } = o
    const path = '/v1/sessions/' + encodeURIComponent(id) + '/events'
    for (;;) {
      const { body } = await this.#shared.rest.request('GET', path + search({ ...o, after }))
      yield* body.data as Change[]
      if (!body['has_more']) return
      after = body['next'] as string
    }
  }

  /** Ends all connections. */
  close(): void {
    this.#isClosed = true
    for (const session of [...this.#held]) session.close()
  }

  async #run(
    name: 'POST' | 'DELETE', path: string, o: CallOptions, body?: Record<string, unknown>,
  ): ReturnType<Commands['run']> {
    return new Commands(this.#shared).run(body ? { name, path, body } : { name, path }, o)
  }

  async #sync(): Promise<void> {
    const { env, clock, rest } = this.#shared
    for (let n = 0; n < SAMPLES; n++) {
      clock.look()
      const sentAt = env.mono()
      const { body } = await rest.request('GET', '/v1/time')
      const answeredAt = env.mono()
      const stamp = body['timestamp_ms'] as number
      clock.add({ sentAt, receivedAt: stamp, repliedAt: stamp, answeredAt })
    }
  }

  #hold(session: Session): void {
    if (this.#isClosed) throw new SyncKairosError('CLOSED', 'The client was closed')
    this.#held.add(session)
    session.refresh()
    const { env, clock } = this.#shared
    this.#unlisten ??= env.page?.listen(event => {
      if (event === 'hidden') this.#held.forEach(one => one.link.page('hidden'))
      else clock.wake()
    })
  }

  #release(session: Session): void {
    this.#held.delete(session)
    if (this.#held.size) return
    this.#unlisten?.()
    this.#unlisten = undefined
  }
}

export interface Client {
  [Symbol.dispose](): void
}

/** A client of the server at a URL. Opens nothing. */
export function createClient(options: string | ClientOptions): Client {
  return new Client(typeof options === 'string' ? { url: options } : options)
}

function search(query: Record<string, string | number | undefined>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  return given.length ? '?' + new URLSearchParams(given.map(([name, value]) => [name, String(value)])) : ''
}
