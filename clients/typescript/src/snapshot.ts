// What a session's handle shows and tells: shapes alone.

import type { CloseReason, LinkPhase } from './link.ts'
import type { Threshold } from './thresholds.ts'
import type { SessionState } from './types.ts'

/** All that a page shows of a session; the same object until something changes. */
export interface Snapshot {
  readonly state?: SessionState
  readonly phase: LinkPhase
  /** Whether the connection has been away for so long that people should be told. */
  readonly isLost: boolean
  readonly isSynced: boolean
  readonly isDeleted: boolean
  readonly closeReason?: CloseReason
}

export interface Events {
  change(state: SessionState, previous: SessionState | undefined): void
  expire(event: { participantId: string; expiredAt: number; lateMs: number }): void
  warning(event: Threshold): void
  gap(event: { missed?: number }): void
  deleted(): void
  phase(phase: LinkPhase, reason?: CloseReason): void
  lost(isLost: boolean): void
  message(foreign: unknown): void
}

export interface SwitchOutcome {
  /** The newest state that is known. */
  state: SessionState
  /** Whether it came too late: nothing was done. */
  isLate: boolean
  expiredParticipantId?: string
}
