// What a clock under a time control shows: a turn uses up free time, main time, periods and an allowance, in this
// order. Pure, like the engine. Does not know sessions, nor how a completed turn fills a clock again: the server does
// that.

import type { ControlClock, TimeControl } from './types.ts'

export type Phase = 'free' | 'main' | 'period' | 'overtime' | 'flagged'

/** What a display shows of a clock. */
export interface ClockView {
  phase: Phase
  /** The number that counts down; below zero in overtime. */
  counts_ms: number
  /** What is left until the flag; null when none will fall. */
  to_flag_ms: number | null
  stage: number
  main_ms: number
  periods_left?: number
  period_ms?: number
  moves_in_period?: number
  moves_left?: number
  penalty?: number
}

/** Adds up what a turn has before it flags: infinite when nothing ends it. */
function budget(control: TimeControl, clock: ControlClock): number {
  const stage = stageOf(control, clock.stage ?? 0)
  let sum = (clock.delay_ms ?? 0) + Math.max(0, clock.main_ms) + periods(stage, clock)
  if (stage.system === 'overtime') sum += stage.overtime_ms == null ? Infinity : stage.overtime_ms - overtime(clock)
  for (let next = clock.stage ?? 0; endsByTime(control, next); next++) {
    const following = stageOf(control, next + 1)
    sum += (following.base_ms ?? 0) + periods(following, fresh(following))
    if (following.system === 'overtime') sum += following.overtime_ms ?? Infinity
  }
  return sum
}

function periods(stage: TimeControl, clock: Partial<ControlClock>): number {
  const left = clock.periods_left ?? 0
  return left > 0 ? (clock.period_ms ?? 0) + (left - 1) * (stage.period_ms ?? 0) : 0
}

function overtime(clock: ControlClock): number {
  return Math.max(0, clock.main_ms - (clock.balance_ms ?? clock.main_ms))
}

function stageOf(control: TimeControl, index: number): TimeControl {
  const stages = control.stages ?? [control]
  return stages[Math.min(index, stages.length - 1)] ?? control
}

/** Whether running out of main time leads into the next stage, rather than to the flag. */
function endsByTime(control: TimeControl, index: number): boolean {
  return index < (control.stages?.length ?? 1) - 1 && stageOf(control, index).moves === undefined
}

/** The periods of a stage at its beginning. */
function fresh(stage: TimeControl): Partial<ControlClock> {
  if (stage.system !== 'byoyomi' && stage.system !== 'canadian') return {}
  const count = stage.system === 'byoyomi' ? stage.periods ?? 1 : 1
  return { period_ms: stage.period_ms ?? 0, periods_left: count }
}

/** Takes `elapsedMs` of a running turn off a clock. */
export function fold(control: TimeControl, clock: ControlClock, elapsedMs: number): ControlClock {
  const after: ControlClock = { ...clock }
  let left = Math.max(0, elapsedMs)
  const free = Math.min(left, after.delay_ms ?? 0)
  if (after.delay_ms !== undefined) after.delay_ms -= free
  left -= free
  for (;;) {
    const had = Math.max(0, after.main_ms)
    const paid = Math.min(left, had)
    after.main_ms = had - paid
    left -= paid
    if (after.main_ms > 0 || !endsByTime(control, after.stage ?? 0)) break
    after.stage = (after.stage ?? 0) + 1
    const next = stageOf(control, after.stage)
    after.main_ms = next.base_ms ?? 0
    Object.assign(after, fresh(next))
  }
  const stage = stageOf(control, after.stage ?? 0)
  if (after.balance_ms !== undefined) after.balance_ms = after.main_ms - overtime(clock)
  if (left > 0) spend(stage, after, left)
  return after
}

/** Takes time off what comes after the main time. */
function spend(stage: TimeControl, clock: ControlClock, ms: number): void {
  if (stage.system === 'overtime') {
    clock.balance_ms = (clock.balance_ms ?? 0) - ms
    if (stage.penalty) {
      clock.penalty = stage.penalty.points * Math.ceil(-clock.balance_ms / stage.penalty.per_ms)
    }
    return
  }
  const current = clock.period_ms ?? 0
  const length = stage.period_ms ?? 0
  const count = clock.periods_left ?? 0
  if (ms < current || !length) {
    clock.period_ms = Math.max(0, current - ms)
    return
  }
  const lost = 1 + Math.floor((ms - current) / length)
  clock.periods_left = Math.max(0, count - lost)
  clock.period_ms = lost < count ? length - ((ms - current) % length) : 0
}

/**
 * What a clock shows when its turn has been running for `elapsedMs`.
 * `clock` is the participant's of a state, as of `cycle_started_at`.
 */
export function view(control: TimeControl, clock: ControlClock, elapsedMs: number): ClockView {
  const now = fold(control, clock, elapsedMs)
  const index = now.stage ?? 0
  const stage = stageOf(control, index)
  const toFlag = budget(control, clock) - elapsedMs
  const main = now.main_ms
  const free = now.delay_ms ?? 0
  const shown: ClockView = { phase: 'main', counts_ms: main, to_flag_ms: null, stage: index, main_ms: main }
  if (Number.isFinite(toFlag)) shown.to_flag_ms = Math.max(0, toFlag)
  for (const name of ['periods_left', 'period_ms', 'moves_in_period', 'moves_left', 'penalty'] as const) {
    if (now[name] !== undefined) shown[name] = now[name]
  }
  if (toFlag <= 0) return { ...shown, phase: 'flagged', counts_ms: 0 }
  if (stage.system === 'bronstein') return { ...shown, counts_ms: main + free }
  if (free > 0) return { ...shown, phase: 'free', counts_ms: free }
  if (main > 0) return shown
  if (now.periods_left) return { ...shown, phase: 'period', counts_ms: now.period_ms ?? 0 }
  if (stage.system === 'overtime') return { ...shown, phase: 'overtime', counts_ms: now.balance_ms ?? 0 }
  return shown
}
