// What a new state tells beside itself: what was missed, and whose clock ran out since the one before. Pure.

import type { SessionState } from './types.ts'

export interface Changes {
  /** Set when states were not seen: how many, in the same life of the session. */
  gap?: { missed?: number }
  expired: { participantId: string; expiredAt: number }[]
}

export function compare(state: SessionState, previous: SessionState): Changes {
  const changes: Changes = { expired: [] }
  if (state.epoch !== previous.epoch) changes.gap = {}
  else if (state.version > previous.version + 1) changes.gap = { missed: state.version - previous.version - 1 }
  const before = new Map(previous.participants.map(one => [one.participant_id, one.expired_at]))
  for (const { participant_id: participantId, expired_at } of state.participants) {
    if (!expired_at || before.get(participantId) === expired_at) continue
    changes.expired.push({ participantId, expiredAt: Date.parse(expired_at) })
  }
  return changes
}
