// The server's time on this machine: a simulated link whose truth is known. Bounds hold always, what is shown never
// goes back, and what is estimated is as good as the algorithm allows.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Estimator } from '../dist/estimator.js'
import { ServerClock } from '../dist/server_clock.js'
import { TestEnv, seeded } from './kit/env.js'

interface Link {
  /** Mean of the exponential jitter of each way, and the base of each. */
  jitterMs: number
  thereMs?: number
  backMs?: number
  /** How fast the client's clock goes, in ppm. */
  driftPpm?: number
  loss?: number
  everyMs?: number
}

/** The truth: the server's clock against the client's, and what the link does to a ping. */
class Simulation {
  #random: () => number
  #link: Required<Link>
  mono = 1_000_000
  offset = 1_700_000_000_000

  constructor(seed: number, link: Link) {
    this.#random = seeded(seed)
    this.#link = { thereMs: 20, backMs: 20, driftPpm: 50, loss: 0, everyMs: 5_000, ...link }
  }

  /** The server's time at an instant of the client's clock. */
  truth(mono: number): number {
    return this.offset + mono * (1 + this.#link.driftPpm * 1e-6)
  }

  #way(base: number): number {
    const jitter = -Math.log(1 - this.#random()) * this.#link.jitterMs
    return base + jitter + (this.#random() < 0.02 ? 300 : 0)
  }

  /** A ping; undefined when it is lost. */
  ping(): { sentAt: number; receivedAt: number; repliedAt: number; answeredAt: number } | undefined {
    const sentAt = this.mono
    const arrival = sentAt + this.#way(this.#link.thereMs)
    const reply = arrival + this.#random() * 0.2
    const answeredAt = reply + this.#way(this.#link.backMs)
    this.mono = answeredAt
    if (this.#random() < this.#link.loss) return undefined
    const stamp = (mono: number) => Math.floor(this.truth(mono))
    return { sentAt, receivedAt: stamp(arrival), repliedAt: stamp(reply), answeredAt }
  }

  wait(): void {
    this.mono += this.#link.everyMs
  }
}

function percentile(values: number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!
}

/** Errors and bounds over many pings, from the 16th on. */
function run(seed: number, link: Link, count = 4_000): { errors: number[]; bounds: number[] } {
  const simulation = new Simulation(seed, link)
  const estimator = new Estimator()
  const errors: number[] = []
  const bounds: number[] = []
  for (let n = 0; n < count; n++) {
    const sample = simulation.ping()
    if (sample) estimator.add(sample)
    simulation.mono += 1
    const estimate = estimator.at(simulation.mono)
    if (estimate) {
      const error = Math.abs(simulation.mono + estimate.offsetMs - simulation.truth(simulation.mono))
      assert.ok(error <= estimate.errorMs, `ping ${n} of seed ${seed}: off by ${error}, said ${estimate.errorMs}`)
      if (n >= 16) {
        errors.push(error)
        bounds.push(estimate.errorMs)
      }
    }
    simulation.wait()
  }
  return { errors, bounds }
}

// Half and 99 % of the errors, and the usual bound, by the jitter of each way.
for (const [jitterMs, half, most, bound] of [
  [2, 0.36, 1.68, 25], [10, 0.84, 3.84, 26], [30, 1.68, 6.48, 30], [100, 3.48, 17.5, 36],
] as const) {
  test(`rule 3: with ${jitterMs} ms of jitter the estimate is as good as the intersection of 16`, () => {
    const { errors, bounds } = run(jitterMs, { jitterMs })
    assert.ok(percentile(errors, 0.5) <= half, `half: ${percentile(errors, 0.5)}`)
    assert.ok(percentile(errors, 0.99) <= most, `99 %: ${percentile(errors, 0.99)}`)
    assert.ok(percentile(bounds, 0.5) <= bound, `bound: ${percentile(bounds, 0.5)}`)
  })
}

test('rule 3: the bound holds over loss, asymmetry and drift', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const chance = seeded(seed)
    run(seed, {
      jitterMs: chance() * 100, thereMs: chance() * 100, backMs: chance() * 100, loss: chance() * 0.5,
      driftPpm: (chance() - 0.5) * 400, everyMs: 1_000 + chance() * 9_000,
    }, 400)
  }
})

test('rule 3: the sixteen samples of jitter of 100 ms bound the error by 40 ms at most', () => {
  const errors = Array.from({ length: 50 }, (_, seed) => {
    const { bounds } = run(seed + 1, { jitterMs: 50, thereMs: 0, backMs: 0, everyMs: 250 }, 18)
    return bounds[0]!
  })
  assert.ok(percentile(errors, 0.9) <= 40, `${percentile(errors, 0.9)}`)
})

test('rule 3: what is shown never goes back, and is within its own bound', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const simulation = new Simulation(seed, { jitterMs: 30 })
    const env = new TestEnv()
    const base = env.mono() - simulation.mono
    const clock = new ServerClock(env)
    let last = -Infinity
    for (let n = 0; n < 200; n++) {
      const before = simulation.mono
      const sample = simulation.ping()!
      env.pass(simulation.mono - before)
      const at = (mono: number) => mono + base
      clock.add({ ...sample, sentAt: at(sample.sentAt), answeredAt: at(sample.answeredAt) })
      for (let look = 0; look < 20; look++) {
        const truth = simulation.truth(simulation.mono)
        const now = clock.now()
        assert.ok(now >= last, `seed ${seed}: went back by ${last - now}`)
        assert.ok(Math.abs(now - truth) <= clock.errorMs, `seed ${seed}: off by ${now - truth}, said ${clock.errorMs}`)
        last = now
        simulation.mono += 250
        env.pass(250)
      }
    }
  }
})

test('rule 3: what is shown is led to a better estimate by 5 % of the time, and never back', () => {
  const env = new TestEnv()
  const clock = new ServerClock(env)
  const pong = (rttMs: number, stamp: number) =>
    clock.add({ sentAt: env.mono() - rttMs, receivedAt: stamp, repliedAt: stamp, answeredAt: env.mono() })
  pong(400, 1_000)
  const before = clock.now()
  assert.equal(before, 1_200.5)
  // The answer had come at once, and the ping had taken its time.
  pong(0, 1_100)
  assert.equal(clock.now(), before)
  env.pass(1_000)
  assert.ok(Math.abs(clock.now() - before - 950) < 1, `${clock.now() - before}`)
  env.pass(1_500)
  assert.ok(Math.abs(clock.now() - 3_600.5) < 1, `${clock.now()}`)
})

test('rule 3: a clock that is set by ten seconds is followed within two samples', () => {
  for (const step of [10_000, -10_000]) {
    const simulation = new Simulation(7, { jitterMs: 10 })
    const env = new TestEnv()
    const base = env.mono() - simulation.mono
    const clock = new ServerClock(env)
    const ping = () => {
      const before = simulation.mono
      const sample = simulation.ping()!
      env.pass(simulation.mono - before)
      clock.add({ ...sample, sentAt: sample.sentAt + base, answeredAt: sample.answeredAt + base })
      simulation.mono += 5_000
      env.pass(5_000)
    }
    for (let n = 0; n < 16; n++) ping()
    clock.now()
    simulation.offset += step
    ping()
    ping()
    assert.ok(Math.abs(clock.now() - simulation.truth(simulation.mono)) <= clock.errorMs)
    assert.ok(clock.errorMs < 400, `${clock.errorMs}`)
  }
})

test('rule 3: the clock does not go by Date', () => {
  const env = new TestEnv()
  const clock = new ServerClock(env)
  const pong = (stamp: number) => clock.add({ sentAt: env.mono(), receivedAt: stamp, repliedAt: stamp, answeredAt: env.mono() })
  pong(5_000)
  const before = clock.now()
  assert.ok(Math.abs(before - 5_000.5) < 1)
  env.setWall(-7_200_000)
  env.pass(100)
  assert.ok(Math.abs(clock.now() - before - 100) < 1, 'it was set back, and nothing slept')
  assert.equal(clock.isSynced, false)
  pong(5_100)
  assert.deepEqual([Math.round(clock.now() - before), clock.isSynced], [100, true])
})

test('rule 3: before the first answer the stamp of a message is a guess that says so', () => {
  const env = new TestEnv()
  const clock = new ServerClock(env)
  clock.hear(1_000_000)
  env.pass(500)
  assert.deepEqual([clock.now(), clock.isSynced, clock.errorMs], [1_000_500, false, Infinity])
})

test('rule 4: after sleep the jump is added, and one answer is enough', () => {
  const env = new TestEnv()
  const clock = new ServerClock(env)
  let slept = 0
  clock.onSleep = () => slept++
  const pong = (stamp: number) => clock.add({ sentAt: env.mono(), receivedAt: stamp, repliedAt: stamp, answeredAt: env.mono() })
  pong(1_000)
  const before = clock.now()
  env.sleep(499)
  clock.look()
  assert.equal(slept, 0)
  env.sleep(8 * 3_600_000)
  assert.ok(clock.now() - before >= 8 * 3_600_000)
  assert.deepEqual([slept, clock.isSynced], [1, false])
  pong(8 * 3_600_000 + 1_499)
  assert.equal(clock.isSynced, true)
})
