// When a running clock falls to a threshold: the server says so, and where it does not, a timer of ours. Each is told
// once in a turn. Does not know connections.

import { remaining } from './clock.ts'
import type { Env } from './env.ts'
import type { SessionState } from './types.ts'

export interface Threshold {
  participantId: string
  thresholdMs: number
  remainingMs: number
  source: 'server' | 'local'
  /** How long after its instant it is told. */
  lateMs: number
}

interface Watch { remainingMs: number; participantId: string | undefined; tell: (threshold: Threshold) => void }

/** How long the server's word is waited for. */
const SERVER_MS = 250
/** The longest that a timer can be set for. */
const LONGEST_MS = 2 ** 31 - 1

export class Thresholds {
  #env: Env
  #now: () => number
  #tell: (threshold: Threshold) => void
  #isHeard: () => boolean
  #watches = new Set<Watch>()
  #state: SessionState | undefined
  #timer: unknown
  /** What was told in this stretch of the turn, or had passed before it was seen. */
  #told = new Set<number>()
  #stretch = ''

  constructor(env: Env, now: () => number, isHeard: () => boolean, tell: (threshold: Threshold) => void) {
    this.#env = env
    this.#now = now
    this.#isHeard = isHeard
    this.#tell = tell
  }

  watch(remainingMs: number, participantId: string | undefined, tell: (threshold: Threshold) => void): () => void {
    const watch = { remainingMs, participantId, tell }
    this.#watches.add(watch)
    if (this.#left() <= remainingMs) this.#told.add(remainingMs)
    else this.#told.delete(remainingMs)
    this.#arm()
    return () => {
      this.#watches.delete(watch)
      this.#arm()
    }
  }

  /** Goes by another state; undefined when nobody listens. */
  follow(state: SessionState | undefined): void {
    this.#state = state
    const stretch = state ? [state.epoch, state.active_participant_id, state.cycle_started_at].join() : ''
    const left = this.#left()
    if (stretch !== this.#stretch) {
      this.#stretch = stretch
      this.#told = new Set(this.#all().filter(threshold => left <= threshold))
    }
    this.#arm()
  }

  /** The server says that a clock fell to a threshold. */
  hear(participantId: string, thresholdMs: number, remainingMs: number): void {
    const isOurs = this.#state?.active_participant_id === participantId
    // Under a time control a turn may come to a threshold more than once: at the end of its main time, and of each period.
    if (isOurs && !this.#state?.time_controls && this.#told.has(thresholdMs)) return
    if (isOurs) this.#told.add(thresholdMs)
    this.#say({
      participantId, thresholdMs, remainingMs, source: 'server', lateMs: Math.max(0, thresholdMs - this.#left()),
    })
    this.#arm()
  }

  #say(threshold: Threshold): void {
    if (this.#state?.warn_at_ms?.includes(threshold.thresholdMs)) this.#tell(threshold)
    for (const watch of [...this.#watches]) {
      const isAbout = watch.participantId === undefined || watch.participantId === threshold.participantId
      if (isAbout && watch.remainingMs === threshold.thresholdMs) watch.tell(threshold)
    }
  }

  /** What the running clock has; infinite when none runs. */
  #left(): number {
    const state = this.#state
    if (state?.status !== 'running' || !state.deadline_at) return Infinity
    return remaining(state, undefined, this.#now()) ?? Infinity
  }

  #all(): number[] {
    const active = this.#state?.active_participant_id
    const watches = [...this.#watches].filter(one => one.participantId === undefined || one.participantId === active)
    // Which of its instants the server warns of is its own to know under a time control.
    const warned = this.#state?.time_controls ? [] : this.#state?.warn_at_ms ?? []
    return [...new Set([...warned, ...watches.map(one => one.remainingMs)])]
  }

  /** After which time we tell of a threshold ourselves. */
  #patience(thresholdMs: number): number {
    return this.#isHeard() && this.#state?.warn_at_ms?.includes(thresholdMs) ? SERVER_MS : 0
  }

  #arm(): void {
    this.#env.clearTimeout(this.#timer)
    const left = this.#left()
    if (left === Infinity) return
    const waits = this.#all().filter(one => !this.#told.has(one)).map(one => left - one + this.#patience(one))
    if (!waits.length) return
    const wait = Math.max(1, Math.min(LONGEST_MS, ...waits))
    this.#timer = this.#env.setTimeout(() => this.#due(), Math.ceil(wait))
  }

  #due(): void {
    const left = this.#left()
    const participantId = this.#state?.active_participant_id
    for (const one of this.#all()) {
      if (!participantId || this.#told.has(one) || left > one - this.#patience(one)) continue
      this.#told.add(one)
      this.#say({ participantId, thresholdMs: one, remainingMs: left, source: 'local', lateMs: one - left })
    }
    this.#arm()
  }
}
