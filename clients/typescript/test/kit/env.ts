// Clocks and timers that a test moves. Does not know the network, which stays real.

import type { Env, Page, PageEvent } from '../../dist/env.js'

interface Timer { at: number; run: () => void }

export class TestEnv implements Env {
  /** How far this machine's two clocks were moved. */
  #moved = 0
  #wallMoved = 0
  #timers = new Set<Timer>()
  #start: number
  #isReal: boolean
  #chance: () => number
  page?: Page

  /** Time that passes by itself too, or only when the test says so. */
  constructor(o: { isReal?: boolean; random?: () => number; page?: TestPage } = {}) {
    this.#isReal = o.isReal ?? false
    this.#start = performance.now()
    this.#chance = o.random ?? (() => 0.5)
    if (o.page) this.page = o.page
  }

  mono(): number {
    return (this.#isReal ? performance.now() : this.#start) + this.#moved
  }

  wall(): number {
    const base = this.#isReal ? Date.now() : 1_800_000_000_000
    return base + this.#moved + this.#wallMoved
  }

  random(): number {
    return this.#chance()
  }

  setTimeout(run: () => void, ms: number): Timer {
    const timer = { at: this.mono() + ms, run }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as Timer)
  }

  /** When the timers that run are due, from now. */
  get waits(): number[] {
    return [...this.#timers].map(timer => timer.at - this.mono()).sort((a, b) => a - b)
  }

  /** Lets time pass, and what is due happen in its order. */
  pass(ms: number): void {
    const end = this.mono() + ms
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at)
      if (!next || next.at > end) break
      this.#moved += Math.max(0, next.at - this.mono())
      this.#timers.delete(next)
      next.run()
    }
    this.#moved += Math.max(0, end - this.mono())
  }

  /** The machine sleeps: its monotonic clock stands still. */
  sleep(ms: number): void {
    this.#wallMoved += ms
  }

  /** Somebody sets the clock. */
  setWall(ms: number): void {
    this.#wallMoved += ms
  }
}

/** A page that a test hides and shows. */
export class TestPage implements Page {
  #isHidden = false
  #listeners = new Set<(event: PageEvent) => void>()

  isHidden(): boolean {
    return this.#isHidden
  }

  listen(listener: (event: PageEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  tell(event: PageEvent): void {
    if (event !== 'woken') this.#isHidden = event === 'hidden'
    for (const listener of [...this.#listeners]) listener(event)
  }
}

/** Waits for what must come to be true. */
export async function until<T>(
  what: string, test: () => T | Promise<T>, ms = 10_000,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + ms
  for (;;) {
    const found = await test()
    if (found) return found as Exclude<T, false | null | undefined>
    if (performance.now() > deadline) throw new Error('never: ' + what)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Numbers from 0 to 1 that a seed repeats. */
export function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
