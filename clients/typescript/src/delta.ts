// A state made of the one before and what changed. Pure.

import type { Participant, SessionState, StateDelta } from './types.ts'

/** Applies a delta; undefined when it is not about this state, so that a whole one must be asked for. */
export function applyDelta(state: SessionState | undefined, delta: StateDelta): SessionState | undefined {
  if (!state || state.epoch !== delta.epoch || state.version !== delta.base_version) return undefined
  const next = patch(state, delta.set, delta.unset)
  next.version = delta.version
  if (delta.participants) {
    const changes = new Map(delta.participants.map(one => [one.participant_id, one]))
    next.participants = next.participants.map((one): Participant => {
      const change = changes.get(one.participant_id)
      return change ? patch(one, change.set, change.unset) : one
    })
  }
  return next
}

function patch<T extends object>(from: T, set: Partial<T> | undefined, unset: string[] | undefined): T {
  const to: T = { ...from, ...set }
  for (const name of unset ?? []) delete (to as Record<string, unknown>)[name]
  return to
}
