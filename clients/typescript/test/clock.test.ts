// Pure functions of a state: what clocks show between two changes is what the engine makes of it, and texts are as
// said.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NewSession, SessionState } from '@synckairos/client'
import { elapsed, format, isNewer, nextChange, remaining, spoken, untilDeadline, viewOf } from '@synckairos/client/clock'
import { until } from './kit/env.js'
import { A, B, game } from './kit/peer.js'
import { SyncKairos, client, players } from './kit/server.js'

const C = '33333333-3333-4333-8333-333333333333'
const D = '55555555-5555-4555-8555-555555555555'
const TEAM = '44444444-4444-4444-8444-444444444444'
let server: SyncKairos

before(async () => { server = await SyncKairos.start() })
after(() => server.stop())

const three = (ids: string[] = [A, B, C]) => ids.map((participant_id, participant_index) => ({
  participant_id, participant_index, total_time_ms: 60_000 + participant_index,
}))

const MODES: Record<string, Partial<NewSession>> = {
  'per_participant': { participants: three() },
  'per_cycle': { sync_mode: 'per_cycle', participants: three(), time_per_cycle_ms: 30_000 },
  'per_group': {
    sync_mode: 'per_group',
    // Two who share a clock, and two who have one each.
    participants: three([A, B, C, D]).map((one, index) => index % 2 ? one : { ...one, group_id: TEAM }),
    groups: [{ group_id: TEAM, total_time_ms: 50_000 }],
  },
  'global': { sync_mode: 'global', participants: three(), total_time_ms: 40_000 },
  'count_up': { sync_mode: 'count_up', participants: three() },
  'count_up with a maximum': { sync_mode: 'count_up', participants: three(), max_time_ms: 45_000 },
}

for (const [name, settings] of Object.entries(MODES)) {
  test(`what a clock of ${name} shows while it runs is what a pause at that instant stores`, async () => {
    const own = client(server.url)
    const session = await own.create(players(settings))
    await session.start()
    for (let turn = 0; turn < 4; turn++) {
      const running = await own.get(session.id)
      const since = Date.parse(running.cycle_started_at!)
      await own.clock.sync()
      await until('time to pass', () => own.clock.now() > since + 20)
      const paused = await session.pause()
      const now = Date.parse(paused.updated_at)
      for (const one of paused.participants) {
        const id = one.participant_id
        assert.equal(remaining(running, id, now), one.time_remaining_ms, `${id}, turn ${turn}`)
        assert.equal(elapsed(running, id, now), one.time_used_ms, `${id}, turn ${turn}`)
        // What stands shows the same at any time.
        assert.equal(remaining(paused, id, now + 10_000), one.time_remaining_ms)
        assert.equal(elapsed(paused, id, now + 10_000), one.time_used_ms)
      }
      if (running.deadline_at && !name.includes('count_up')) {
        assert.equal(untilDeadline(running, now), remaining(running, undefined, now))
      }
      await session.resume()
      await session.switch()
    }
    own.close()
  })
}

test('a clock that ran out under notify stands at zero, and nobody is charged', async () => {
  const own = client(server.url)
  const session = await own.create(players({
    on_timeout: 'notify', participants: players().participants.map(one => ({ ...one, total_time_ms: 1_000 })),
  }))
  session.subscribe(() => {})
  await session.start()
  const flagged = await until('a flag', () => session.state?.participants[0]!.has_expired && session.state)
  const later = Date.parse(flagged.updated_at) + 30_000
  assert.deepEqual([flagged.active_participant_id, remaining(flagged, undefined, later)], [A, 0])
  assert.equal(elapsed(flagged, A, later), 1_000)
  assert.equal(untilDeadline(flagged, later), undefined)
  own.close()
})

test('nothing falls below zero, and nothing is known of whom there is not', () => {
  const state = game(1)
  const late = Date.parse(state.deadline_at!) + 5_000
  assert.deepEqual([remaining(state, A, late), untilDeadline(state, late), elapsed(state, A, late)], [0, 0, 60_000])
  assert.equal(remaining(state, B, late), 60_000)
  assert.deepEqual([remaining(state, C, late), elapsed(state, C, late)], [undefined, undefined])
})

test('of two states the newer is told by epoch, then by version', () => {
  const state = (epoch: number, version: number) => game(version, { epoch })
  assert.deepEqual([
    isNewer(state(1, 2), undefined), isNewer(state(1, 2), state(1, 1)), isNewer(state(1, 2), state(1, 2)),
    isNewer(state(2, 1), state(1, 9)), isNewer(state(1, 9), state(2, 1)),
  ], [true, true, false, true, false])
})

test('under a time control the waiting side of an hourglass gains, and a display knows its phase', () => {
  const state: SessionState = { ...game(1), time_controls: [{ system: 'hourglass', base_ms: 60_000 }] }
  state.participants.forEach(one => { one.control = 0; one.clock = { stage: 0, main_ms: 60_000, moves: 0 } })
  const now = Date.parse(state.cycle_started_at!) + 20_000
  assert.deepEqual([remaining(state, A, now), remaining(state, B, now)], [40_000, 80_000])
  state.time_controls = [{ system: 'byoyomi', base_ms: 10_000, period_ms: 10_000, periods: 3 }]
  state.participants.forEach(one => { one.clock = { stage: 0, main_ms: 10_000, period_ms: 10_000, periods_left: 3, moves: 0 } })
  const view = viewOf(state, A, now)!
  assert.deepEqual([view.phase, view.counts_ms, view.periods_left, view.to_flag_ms], ['period', 10_000, 2, 20_000])
  assert.equal(viewOf(game(1), A, now), undefined)
})

test('texts round up, and change when they say', () => {
  for (const [ms, style, text] of [
    [0, {}, '0:00'], [1, {}, '0:01'], [1_000, {}, '0:01'], [1_001, {}, '0:02'], [59_001, {}, '1:00'], [3_600_000, {}, '1:00:00'],
    [3_600_000, { hours: false }, '60:00'], [90_061_000, {}, '25:01:01'], [90_061_000, { days: true }, '1d 1:01:01'],
    [-5, {}, '0:00'], [9_950, { tenthsBelowMs: 10_000 }, '0:10.0'], [9_949, { tenthsBelowMs: 10_000 }, '0:10.0'],
    [9_900, { tenthsBelowMs: 10_000 }, '0:09.9'], [10_000, { tenthsBelowMs: 10_000 }, '0:10'], [0, { tenthsBelowMs: 10_000 }, '0:00'],
    [1, { tenthsBelowMs: 10_000 }, '0:00.1'],
  ] as const) assert.equal(format(ms, style), text)
  for (const style of [{}, { tenthsBelowMs: 3_000 }]) {
    for (let ms = 5_000; ms > 0;) {
      const next = nextChange(ms, style)
      for (let passed = 0; passed < next; passed++) assert.equal(format(ms - passed, style), format(ms, style))
      assert.notEqual(format(ms - next, style), format(ms, style), `${ms} after ${next}`)
      ms -= next
    }
  }
  assert.equal(nextChange(0), Infinity)
})

test('words are those of the language', () => {
  assert.deepEqual([spoken(30_000, 'en'), spoken(65_001, 'en'), spoken(0, 'en'), spoken(3_600_000, 'en'), spoken(61_000, 'de')],
    ['30 seconds', '1 minute, 6 seconds', '0 seconds', '1 hour', '1 Minute, 1 Sekunde'])
})
