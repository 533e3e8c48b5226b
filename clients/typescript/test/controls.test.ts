// Clocks under time controls, against the engine: what is folded up to the instant of a pause is what the server stores
// then, member by member, and the flag falls where a display says that it will.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { SessionState, TimeControl } from '@synckairos/client'
import { fold, remaining, view } from '@synckairos/client/clock'
import { until } from './kit/env.js'
import { A, B } from './kit/peer.js'
import { SyncKairos, client } from './kit/server.js'

let server: SyncKairos
before(async () => { server = await SyncKairos.start() })
after(() => server.stop())

/** Short ones, so that a turn is soon beyond its main time; a first turn has a second at least. */
const CONTROLS: Record<string, TimeControl | string> = {
  'absolute': { system: 'absolute', base_ms: 60_000 },
  'fischer as a text': '1+3',
  'fischer from the start': { system: 'fischer', base_ms: 0, increment_ms: 10_000, increment_at: 'start' },
  'delay': { system: 'delay', base_ms: 60_000, delay_ms: 30 },
  'delay that is not over': { system: 'delay', base_ms: 60_000, delay_ms: 60_000 },
  'bronstein': { system: 'bronstein', base_ms: 60_000, delay_ms: 30 },
  'bronstein that flags at main': { system: 'bronstein', base_ms: 60_000, delay_ms: 30, flag_at: 'main' },
  'per move': '30s/move',
  'byoyomi': { system: 'byoyomi', base_ms: 20, period_ms: 60_000, periods: 3 },
  'byoyomi that loses periods': { system: 'byoyomi', base_ms: 0, period_ms: 17, periods: 100 },
  'canadian': { system: 'canadian', base_ms: 20, period_ms: 60_000, moves: 3 },
  'bank': { system: 'bank', move_ms: 30, bank_ms: 60_000 },
  'overtime': { system: 'overtime', base_ms: 20, overtime_ms: 60_000, penalty: { per_ms: 15, points: 3 } },
  'overtime without end': { system: 'overtime', base_ms: 20, overtime_ms: null },
  'hourglass': { system: 'hourglass', base_ms: 60_000 },
  'correspondence': { system: 'correspondence', move_ms: 86_400_000, cap_ms: 259_200_000 },
  'stages by moves': {
    system: 'stages',
    stages: [{ system: 'absolute', base_ms: 60_000, moves: 1 }, { system: 'fischer', base_ms: 5_000, increment_ms: 7 }],
  },
  'stages by time': {
    system: 'stages',
    stages: [{ system: 'absolute', base_ms: 1_000 }, { system: 'byoyomi', base_ms: 10, period_ms: 200, periods: 20 }],
  },
  'a stage that repeats': '40/9000',
}

function clockOf(state: SessionState, index: number) {
  const one = state.participants[index]!
  const control = state.time_controls?.[one.control ?? 0]
  assert.ok(control && one.clock, 'the server shows its control and its clock')
  return { id: one.participant_id, control, clock: one.clock, one }
}

for (const [name, time_control] of Object.entries(CONTROLS)) {
  test(`what a clock shows under ${name} is what the engine stores`, async () => {
    const own = client(server.url)
    const session = await own.create({
      sync_mode: 'per_participant', time_control, on_timeout: 'expire',
      participants: [A, B].map((participant_id, participant_index) => ({ participant_id, participant_index })),
    })
    await session.start()
    await own.clock.sync()
    for (let turn = 0; turn < 4; turn++) {
      const running = await own.get(session.id)
      const active = turn % 2
      const since = Date.parse(running.cycle_started_at!)
      const { control, clock } = clockOf(running, active)
      const flag = view(control, clock, 0).to_flag_ms
      assert.equal(running.deadline_at ? Date.parse(running.deadline_at) - since : null, flag, `turn ${turn}`)
      // A stage that ends by time lasts a second at least.
      const passes = name === 'stages by time' && turn === 0 ? 1_030 : 45
      await until('time to pass', () => own.clock.now() > since + passes)
      const paused = await session.pause()
      const now = Date.parse(paused.updated_at)
      assert.deepEqual(fold(control, clock, now - since), clockOf(paused, active).clock, `turn ${turn} after ${now - since} ms`)
      for (const one of paused.participants) {
        assert.equal(remaining(running, one.participant_id, now), one.time_remaining_ms, `${one.participant_id}, turn ${turn}`)
      }
      await session.resume()
      await session.switch()
    }
    own.close()
  })
}
