// The server's time on this machine: shown without going back, led towards the estimate, and doubted after sleep. Does
// not know who measures.

import { Estimator } from './estimator.ts'
import type { Sample } from './estimator.ts'
import type { Env } from './env.ts'

/** What is shown goes towards the estimate by at most this part of the time that passes. */
const LEAD = 0.05
/** What is off by more is put right at once. */
const STEP_MS = 250
/** By how much the two clocks of a machine may part between two looks before it must have slept. */
const SLEPT_MS = 500

export class ServerClock {
  #env: Env
  #estimator: Estimator = new Estimator()
  #offset: number | undefined
  #at = 0
  #last = -Infinity
  #between: number | undefined
  /** Is told when the machine slept, and when being in sync begins or ends. */
  onSleep: () => void = () => {}
  onSync: () => void = () => {}

  constructor(env: Env) {
    this.#env = env
  }

  /** The server's time, in milliseconds since 1970, with fractions. */
  now(): number {
    this.look()
    const mono = this.#env.mono()
    this.#lead(mono)
    const now = this.#offset === undefined ? this.#env.wall() : mono + this.#offset
    return this.#last = Math.max(this.#last, now)
  }

  get isSynced(): boolean {
    return this.#estimator.isSynced
  }

  /** How far off `now()` can be. */
  get errorMs(): number {
    const mono = this.#env.mono()
    this.#lead(mono)
    const estimate = this.#estimator.at(mono)
    if (!estimate || this.#offset === undefined) return Infinity
    const held = Math.max(0, this.#last - (mono + this.#offset))
    return estimate.errorMs + Math.abs(estimate.offsetMs - this.#offset) + held
  }

  /** How far the server's clock is ahead of the clock that this machine shows people. */
  get offsetMs(): number {
    return this.now() - this.#env.wall()
  }

  add(sample: Sample): void {
    const was = this.isSynced
    const forgot = this.#estimator.add(sample)
    if (forgot) this.#step(this.#env.mono())
    if (was !== this.isSynced) this.onSync()
  }

  /** The server's stamp of a message that just came. */
  hear(timestamp: number): void {
    if (Number.isFinite(timestamp)) this.#estimator.hear(timestamp, this.#env.mono())
  }

  /** Looks whether the machine slept since the last look: then a clock stood, and the other did not. */
  look(): void {
    const jump = this.#jump()
    if (Math.abs(jump) > SLEPT_MS) this.#doubt(jump)
  }

  /** The machine may have slept: all that was measured is doubted. */
  wake(): void {
    this.#doubt(this.#jump())
  }

  /** By how much the two clocks of this machine parted since they were looked at. */
  #jump(): number {
    const between = this.#env.wall() - this.#env.mono()
    const jump = between - (this.#between ?? between)
    this.#between = between
    return jump
  }

  #doubt(jump: number): void {
    const was = this.isSynced
    this.#lead(this.#env.mono())
    this.#estimator.forget()
    // The monotonic clock may have stood still while the other went on; it never went on alone.
    if (this.#offset !== undefined && jump > SLEPT_MS) this.#offset += jump
    if (was) this.onSync()
    this.onSleep()
  }

  #lead(mono: number): void {
    const estimate = this.#estimator.at(mono)
    if (estimate) {
      const off = estimate.offsetMs - (this.#offset ?? -Infinity)
      const most = (mono - this.#at) * LEAD
      // Only forwards is right at once: what is shown does not go back.
      if (Math.abs(off) > STEP_MS || off > estimate.errorMs) this.#step(mono)
      else this.#offset! += Math.max(-most, Math.min(most, off))
    }
    this.#at = mono
  }

  #step(mono: number): void {
    const estimate = this.#estimator.at(mono)
    if (!estimate) return
    const off = estimate.offsetMs - (this.#offset ?? -Infinity)
    if (off < -STEP_MS) this.#last = -Infinity
    if (off > 0 || off < -STEP_MS) this.#offset = estimate.offsetMs
    this.#at = mono
  }
}
