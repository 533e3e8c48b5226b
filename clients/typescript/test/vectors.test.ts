// The clocks of time controls come to what the engine's come to: tests/vectors/time.json.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { seeded } from './kit/env.js'
import { fold, view } from '@synckairos/client/clock'
import type { ControlClock, TimeControl } from '@synckairos/client/clock'

interface Vector {
  name: string
  control: TimeControl | string
  clocks?: number
  steps: { op: 'complete' | 'pause' | 'view'; at: number }[]
  expect: Record<string, unknown>[]
}

/** Notations are the server's to read: it shows controls as objects. */
const NOTATIONS: Record<string, TimeControl> = {
  '10s': { system: 'absolute', base_ms: 10_000 },
  '0+10': { system: 'fischer', base_ms: 0, increment_ms: 10_000, increment_at: 'start' },
  '30s/move': { system: 'per_move', move_ms: 30_000 },
  'lishogi:5+10|20(2x)': { system: 'byoyomi', base_ms: 300_000, period_ms: 20_000, periods: 2, increment_ms: 10_000 },
}

function stages(control: TimeControl): TimeControl[] {
  return control.stages ?? [control]
}

function stageAt(control: TimeControl, index: number): TimeControl {
  const all = stages(control)
  return all[Math.min(index, all.length - 1)]!
}

function free(stage: TimeControl): number {
  return stage.system === 'bronstein' && stage.flag_at === 'main' ? 0 : stage.delay_ms ?? stage.move_ms ?? 0
}

/** A clock that nobody has used, as the server shows it. */
function begin(control: TimeControl): ControlClock {
  const stage = stageAt(control, 0)
  const clock: ControlClock = { stage: 0, main_ms: stage.base_ms ?? stage.bank_ms ?? 0, delay_ms: free(stage), moves: 0 }
  if (stage.increment_at === 'start') clock.main_ms! += stage.increment_ms ?? 0
  if (stage.moves !== undefined && control.stages) clock.moves_left = stage.moves
  if (stage.system === 'byoyomi') Object.assign(clock, { period_ms: stage.period_ms, periods_left: stage.periods })
  if (stage.system === 'canadian') Object.assign(clock, { period_ms: stage.period_ms, periods_left: 1, moves_in_period: stage.moves })
  if (stage.system === 'overtime') Object.assign(clock, { balance_ms: clock.main_ms, penalty: 0 })
  return clock
}

/** What a turn that is completed gives back: the server's rule, in the words of its specification. */
function complete(control: TimeControl, before: ControlClock, folded: ControlClock, used: number): ControlClock {
  const clock = { ...folded }
  const began = stageAt(control, before.stage ?? 0)
  const stage = stageAt(control, clock.stage ?? 0)
  const main = clock.main_ms ?? 0
  if (main > 0 || stage.system === 'fischer' || (stage.system === 'bank' && stage.increment_ms)) {
    clock.main_ms = main + Math.min(stage.increment_ms ?? 0, Math.max(0, (stage.cap_ms ?? Infinity) - main))
  }
  if (began.system === 'bronstein' && began.flag_at === 'main') clock.main_ms = main + Math.min(used, began.delay_ms ?? 0)
  if (stage.system === 'byoyomi') clock.period_ms = stage.period_ms!
  if (stage.system === 'canadian' && main === 0) {
    clock.moves_in_period = (clock.moves_in_period ?? 0) - 1
    if (clock.moves_in_period === 0) Object.assign(clock, { period_ms: stage.period_ms, moves_in_period: stage.moves })
  }
  if (clock.moves_left !== undefined && --clock.moves_left === 0) {
    const next = stageAt(control, clock.stage = Math.min((clock.stage ?? 0) + 1, control.repeat ? stages(control).length - 1 : 99))
    clock.main_ms = (clock.main_ms ?? 0) + (next.base_ms ?? 0)
    if (next.moves === undefined) delete clock.moves_left
    else clock.moves_left = next.moves
  }
  clock.delay_ms = free(stageAt(control, clock.stage ?? 0))
  return clock
}

function budget(control: TimeControl, clock: ControlClock): number {
  return view(control, clock, 0).to_flag_ms ?? Infinity
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('../../../tests/vectors/time.json', import.meta.url), 'utf8'))

for (const vector of vectors) {
  test('vector: ' + vector.name, () => {
    const control = typeof vector.control === 'string' ? NOTATIONS[vector.control]! : vector.control
    assert.ok(control, 'a notation that is not known here: ' + vector.control)
    const clocks = Array.from({ length: vector.clocks ?? 1 }, () => begin(control))
    let turn = 0
    let since = 0
    let used = 0
    vector.steps.forEach((step, index) => {
      const clock = clocks[turn]!
      const elapsed = step.at - since
      const expected = vector.expect[index]!
      const shown = view(control, clock, elapsed)
      const told: Record<string, unknown> = { ...shown, flag_after_ms: budget(control, clock) }
      if (step.op !== 'view' && !('flag_after_ms' in expected)) {
        assert.notEqual(shown.phase, 'flagged')
        const folded = fold(control, clock, elapsed)
        if (step.op === 'pause') {
          used += elapsed
          clocks[turn] = folded
        } else {
          clocks[turn] = complete(control, clock, folded, used + elapsed)
          used = 0
          if (control.system === 'hourglass') clocks[1 - turn]!.main_ms! += elapsed
        }
        Object.assign(told, clocks[turn], { other_main_ms: clocks[1 - turn]?.main_ms })
        since = step.at
        told['budget_ms'] = budget(control, clocks[turn]!)
        if (step.op === 'complete') turn = (turn + 1) % clocks.length
      } else if (step.op === 'view') {
        told['budget_ms'] = shown.to_flag_ms
      } else {
        assert.equal(shown.phase, 'flagged')
        assert.notEqual(view(control, clock, elapsed - 1).phase, step.at - since === budget(control, clock) ? 'flagged' : '')
      }
      told['turn_used_ms'] = used
      told['to_flag_ms'] = shown.to_flag_ms
      for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual(told[name], value, `step ${index}: ${name}`)
      }
    })
  })
}

test('a clock is folded in parts as in one, and at its flag nothing is left', () => {
  const random = seeded(11)
  for (const { name, control: given } of vectors) {
    const control = typeof given === 'string' ? NOTATIONS[given]! : given
    const clock = begin(control)
    const whole = view(control, clock, 0).to_flag_ms
    for (let n = 0; n < 50; n++) {
      const [first, second] = [Math.floor(random() * (whole ?? 100_000) / 2), Math.floor(random() * (whole ?? 100_000) / 2)]
      const parts = fold(control, fold(control, clock, first), second)
      assert.deepEqual(parts, fold(control, clock, first + second), `${name}: ${first}, ${second}`)
      const left = view(control, parts, 0).to_flag_ms
      assert.equal(left, whole === null ? null : whole - first - second, `${name}: ${first}, ${second}`)
    }
    if (whole === null) continue
    const { main_ms, delay_ms, period_ms = 0, periods_left = 0 } = fold(control, clock, whole)
    assert.deepEqual([main_ms, delay_ms, period_ms, periods_left], [0, 0, 0, 0], name)
  }
})
