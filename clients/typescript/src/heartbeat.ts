// The pings of one connection: each measures the server's clock, and says whether the connection still carries
// anything. Does not know sockets.

import type { Env } from './env.ts'
import type { ServerClock } from './server_clock.ts'
import type { PongMessage } from './types.ts'

/** How many pings a burst has, and how far they are apart. */
const BURST = 5
const BURST_MS = 250
/** How long a pong may take: as a rule, and after the page woke. */
const PONG_MS = 5_000
const WOKEN_PONG_MS = 2_000

export class Heartbeat {
  #env: Env
  #clock: ServerClock
  #everyMs: number
  #send: (ping: object) => void
  #cut: () => void
  #next: unknown
  #limit: unknown
  #name = 0
  #burst = 0
  #sent = new Map<number, number>()

  constructor(env: Env, clock: ServerClock, everyMs: number, send: (ping: object) => void, cut: () => void) {
    this.#env = env
    this.#clock = clock
    this.#everyMs = everyMs
    this.#send = send
    this.#cut = cut
  }

  /** Pings five times at once, then now and then. */
  burst(isWoken = false): void {
    if (isWoken) this.hide()
    this.#burst = BURST
    this.#ping(isWoken ? WOKEN_PONG_MS : PONG_MS)
  }

  #ping(limitMs: number): void {
    this.#clock.look()
    this.#env.clearTimeout(this.#next)
    const wait = --this.#burst > 0 ? BURST_MS : this.#everyMs
    this.#next = this.#env.setTimeout(() => this.#ping(PONG_MS), wait)
    const name = ++this.#name
    this.#sent.set(name, this.#env.mono())
    this.#send({ type: 'PING', timestamp: name })
    // Timers of a page that nobody sees run as rarely as once a minute.
    if (this.#limit === undefined && !this.#env.page?.isHidden()) {
      this.#limit = this.#env.setTimeout(this.#cut, limitMs)
    }
  }

  /** Takes a pong in; returns whether it measured anything. */
  pong(pong: PongMessage): boolean {
    const answeredAt = this.#env.mono()
    const name = pong.client_timestamp
    const sentAt = name === undefined ? undefined : this.#sent.get(name)
    if (sentAt === undefined || pong.received_at === undefined) return false
    // What was sent before is answered before: what is missing never comes.
    for (const earlier of this.#sent.keys()) if (earlier <= name!) this.#sent.delete(earlier)
    this.#env.clearTimeout(this.#limit)
    this.#limit = undefined
    this.#clock.add({ sentAt, receivedAt: pong.received_at, repliedAt: pong.timestamp, answeredAt })
    return true
  }

  /** Forgets what is under way: a pong that comes now was held back while nobody looked. */
  hide(): void {
    this.#sent.clear()
    this.#env.clearTimeout(this.#limit)
    this.#limit = undefined
  }

  stop(): void {
    this.hide()
    this.#env.clearTimeout(this.#next)
  }
}
