// What the clocks of a session show at an instant of the server's time: pure functions of a state, computed and never
// counted. Does not know where a state comes from, nor what time it is.

import { view } from './controls.ts'
import type { ClockView } from './controls.ts'
import type { ControlClock, Participant, SessionState, TimeControl } from './types.ts'

export { fold, view } from './controls.ts'
export type { ClockView, Phase } from './controls.ts'
export { format, nextChange, spoken } from './format.ts'
export type { Style } from './format.ts'
export type { ControlClock, Participant, SessionState, TimeControl } from './types.ts'

/** Whether a state is newer than another of the same session: only epoch and version say so. */
export function isNewer(a: SessionState, than: SessionState | undefined): boolean {
  return !than || a.epoch > than.epoch || (a.epoch === than.epoch && a.version > than.version)
}

/** For how long the turn has been running without interruption. */
function running(state: SessionState, now: number): number {
  const since = state.status === 'running' && state.cycle_started_at ? Date.parse(state.cycle_started_at) : now
  return Math.max(0, now - since)
}

function find(state: SessionState, participantId: string | undefined): Participant | undefined {
  const id = participantId ?? state.active_participant_id
  return state.participants.find(one => one.participant_id === id)
}

/** Whether a participant's clock is the one that the running turn uses. */
function isCharged(state: SessionState, one: Participant): boolean {
  if (state.sync_mode === 'global' || one.is_active) return true
  const active = find(state, undefined)
  return state.sync_mode === 'per_group' && !!one.group_id && active?.group_id === one.group_id
}

function controlOf(state: SessionState, one: Participant): [TimeControl, ControlClock] | undefined {
  const group = state.groups?.find(group => group.group_id === one.group_id)
  const control = state.time_controls?.[one.control ?? group?.control ?? 0]
  const clock = one.clock ?? group?.clock ?? state.clock
  return control && clock && [control, clock]
}

/**
 * What a clock has left, in milliseconds, and never less than 0.
 * Without a participant, the clock of whose turn it is; undefined when there is none.
 */
export function remaining(state: SessionState, participantId: string | undefined, now: number): number | undefined {
  const one = find(state, participantId)
  if (!one) return state.sync_mode === 'global' ? charged(state.total_time_ms, state, now) : undefined
  const control = controlOf(state, one)
  if (!isCharged(state, one)) {
    if (control?.[0].system !== 'hourglass') return one.time_remaining_ms
    // What one side of an hourglass loses the other has already.
    const free = find(state, undefined)?.clock?.delay_ms ?? 0
    return one.time_remaining_ms + Math.max(0, running(state, now) - free)
  }
  // Without a maximum it counts up alone.
  if (state.sync_mode === 'count_up' && state.max_time_ms === undefined) return one.time_remaining_ms
  return charged(one.time_remaining_ms, state, now)
}

function charged(ms: number, state: SessionState, now: number): number {
  return Math.max(0, ms - running(state, now))
}

/** What a participant has used, in milliseconds, the running turn included. */
export function elapsed(state: SessionState, participantId: string, now: number): number | undefined {
  const one = find(state, participantId)
  if (!one?.is_active || one.has_expired) return one?.time_used_ms
  const isUnbounded = state.sync_mode === 'count_up' && state.max_time_ms === undefined
  return one.time_used_ms + Math.min(running(state, now), isUnbounded ? Infinity : one.time_remaining_ms)
}

/** What is left until the running clock runs out; undefined when none will. */
export function untilDeadline(state: SessionState, now: number): number | undefined {
  return state.deadline_at ? Math.max(0, Date.parse(state.deadline_at) - now) : undefined
}

/** What a participant's clock under a time control shows; undefined without one. */
export function viewOf(state: SessionState, participantId: string, now: number): ClockView | undefined {
  const one = find(state, participantId)
  const control = one && controlOf(state, one)
  if (!one || !control) return undefined
  return view(control[0], control[1], isCharged(state, one) ? running(state, now) : 0)
}
