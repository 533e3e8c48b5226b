// How far the server's clock is ahead of ours: the intersection of what the last answers allow. Takes instants and
// asks for none. Does not know who measured.

/** One exchange: sent and answered by our clock, received and sent back by the server's. */
export interface Sample {
  sentAt: number
  receivedAt: number
  repliedAt: number
  answeredAt: number
}

/** An offset, and how far off it can be. */
export interface Estimate {
  offsetMs: number
  errorMs: number
}

interface Interval { low: number; high: number; at: number }

/** How many samples count. */
const KEPT = 16
/** How far two clocks may drift apart: 250 ppm. Quartz does 50; the server's may be led by more for a while. */
const DRIFT = 250e-6
/** By how much a clock is expected to drift, for the middle of what is possible. */
const LIKELY_DRIFT = 100e-6
/** The server's stamps are whole milliseconds, rounded down. */
const GRAIN_MS = 1

export class Estimator {
  #samples: Interval[] = []
  /** The greatest offset that something the server said can have been sent with, without a sample. */
  #floor: Interval | undefined

  get isSynced(): boolean {
    return this.#samples.length > 0
  }

  /** Takes an exchange in. Returns whether all before it had to be forgotten: a clock was set. */
  add(sample: Sample): boolean {
    const low = sample.repliedAt - sample.answeredAt
    const high = sample.receivedAt + GRAIN_MS - sample.sentAt
    if (high < low) return false
    const next = { low, high, at: sample.answeredAt }
    this.#samples.push(next)
    if (this.#samples.length > KEPT) this.#samples.shift()
    const possible = intersect(this.#samples, next.at, DRIFT)
    if (possible.low <= possible.high) return false
    this.#samples = [next]
    this.#floor = undefined
    return true
  }

  /** Takes in the stamp of a message that the server sent by itself: it was sent before it came. */
  hear(timestamp: number, now: number): void {
    const low = timestamp - now
    if (!this.#floor || low >= this.#floor.low - (now - this.#floor.at) * DRIFT) {
      this.#floor = { low, high: Infinity, at: now }
    }
  }

  /** Forgets all. What was known, moved by what the machine slept, is no sample. */
  forget(): void {
    this.#samples = []
    this.#floor = undefined
  }

  at(now: number): Estimate | undefined {
    if (!this.isSynced) return this.#floor && { offsetMs: this.#floor.low, errorMs: Infinity }
    const possible = this.#within(now, DRIFT)
    const likely = this.#within(now, LIKELY_DRIFT)
    const middle = (likely.low + likely.high) / 2
    const offsetMs = Math.min(possible.high, Math.max(possible.low, middle))
    return { offsetMs, errorMs: Math.max(possible.high - offsetMs, offsetMs - possible.low) }
  }

  #within(now: number, drift: number): { low: number; high: number } {
    const possible = intersect(this.#samples, now, drift)
    if (!this.#floor) return possible
    const floor = this.#floor.low - Math.max(0, now - this.#floor.at) * drift
    // A stamp that no sample allows is of another clock.
    return floor <= possible.high ? { low: Math.max(possible.low, floor), high: possible.high } : possible
  }
}

/** What all of them allow, each widened by its age. */
function intersect(samples: Interval[], now: number, drift: number): { low: number; high: number } {
  let low = -Infinity
  let high = Infinity
  for (const sample of samples) {
    const slack = Math.max(0, now - sample.at) * drift
    low = Math.max(low, sample.low - slack)
    high = Math.min(high, sample.high + slack)
  }
  return { low, high }
}
