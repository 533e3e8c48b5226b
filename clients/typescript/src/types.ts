// What the server says and takes, as openapi.json and docs/use/websocket.md have it, and what is announced for it:
// time controls and deltas. Knows no code. A test holds it against openapi.json.

export type SyncMode = 'per_participant' | 'per_cycle' | 'per_group' | 'global' | 'count_up'
/** `expired`, `completed` and `cancelled` are final. */
export type Status = 'pending' | 'running' | 'paused' | 'expired' | 'completed' | 'cancelled'
/** What a clock that runs out does. */
export type OnTimeout = 'expire' | 'advance' | 'notify'
export type Metadata = Record<string, unknown>

/** A clock's place in its time control, as of the beginning of the turn. */
export interface ControlClock {
  stage?: number
  moves_left?: number
  main_ms: number
  delay_ms?: number
  period_ms?: number
  periods_left?: number
  moves_in_period?: number
  /** Main time less the overtime used: the only number that falls below zero. */
  balance_ms?: number
  penalty?: number
  /** Completed turns. */
  moves: number
}

/** A time control as the server shows it back: an object with its defaults filled in. */
export interface TimeControl {
  system: 'absolute' | 'fischer' | 'delay' | 'bronstein' | 'per_move' | 'byoyomi' | 'canadian' | 'bank' | 'overtime'
    | 'hourglass' | 'correspondence' | 'stages'
  base_ms?: number
  increment_ms?: number
  increment_at?: 'end' | 'start'
  cap_ms?: number
  delay_ms?: number
  flag_at?: 'delay' | 'main'
  move_ms?: number
  bank_ms?: number
  period_ms?: number
  periods?: number
  /** Of a stage: how many completed moves end it. Of canadian: how many a period asks for. */
  moves?: number
  overtime_ms?: number | null
  penalty?: { per_ms: number; points: number }
  stages?: TimeControl[]
  repeat?: boolean
}

export interface Participant {
  participant_id: string
  participant_index: number
  total_time_ms: number
  time_used_ms: number
  time_remaining_ms: number
  cycle_count: number
  is_active: boolean
  has_expired: boolean
  initial_time_ms: number
  group_id?: string
  expired_at?: string
  control?: number
  clock?: ControlClock
}

export interface Group {
  group_id: string
  total_time_ms: number
  time_remaining_ms: number
  control?: number
  clock?: ControlClock
}

/** A session as of one version. `(epoch, version)` names it for ever. */
export interface SessionState {
  session_id: string
  sync_mode: SyncMode
  status: Status
  version: number
  epoch: number
  participants: Participant[]
  active_participant_id: string | null
  total_time_ms: number
  time_per_cycle_ms: number | null
  cycle_started_at: string | null
  session_started_at: string | null
  session_completed_at: string | null
  increment_ms: number
  max_time_ms?: number
  deadline_at: string | null
  on_timeout: OnTimeout
  unattended_turns?: number
  warn_at_ms?: number[]
  groups?: Group[]
  metadata?: Metadata
  created_at: string
  updated_at: string
  time_controls?: TimeControl[]
  turn_used_ms?: number
  clock?: ControlClock
}

export interface NewParticipant {
  participant_id: string
  participant_index: number
  /** Optional under a time control. */
  total_time_ms?: number
  group_id?: string
  time_control?: TimeControl | string
  /** So many percent of every length of the time control but caps. */
  multiplier_pct?: number
  /** Main time on top. */
  extra_ms?: number
}

export interface NewGroup {
  group_id: string
  /** Optional under a time control. */
  total_time_ms?: number
  time_control?: TimeControl | string
  multiplier_pct?: number
  extra_ms?: number
}

export interface NewSession {
  /** Made when it is not given. */
  session_id?: string
  sync_mode: SyncMode
  participants: NewParticipant[]
  /** Optional under a time control. */
  total_time_ms?: number
  time_per_cycle_ms?: number
  increment_ms?: number
  max_time_ms?: number
  metadata?: Metadata
  on_timeout?: OnTimeout
  warn_at_ms?: number[]
  groups?: NewGroup[]
  time_control?: TimeControl | string
}

/** What `update` changes; null takes away. */
export interface Settings {
  metadata?: Metadata | null
  increment_ms?: number | null
  time_per_cycle_ms?: number | null
  max_time_ms?: number | null
  on_timeout?: OnTimeout | null
  warn_at_ms?: number[] | null
  expected_version?: number
}

export interface SwitchResult {
  session_id: string
  active_participant_id: string | null
  cycle_started_at: string | null
  participants: Participant[]
  status: Status
  expired_participant_id?: string
  late?: true
  version: number
}

/** One change of a session's history. */
export interface Change {
  event_id: string
  session_id: string
  epoch: number
  version: number
  event_type: 'session_created' | 'session_started' | 'cycle_switched' | 'session_paused' | 'session_resumed'
    | 'participant_expired' | 'participant_revived' | 'session_expired' | 'session_completed' | 'session_cancelled'
    | 'session_updated' | 'session_deleted' | 'session_recovered'
  timestamp_ms: number
  participant_id?: string
  group_id?: string
  time_remaining_ms?: number
  time_elapsed_ms?: number
  actor?: string
  cycle_number: number
  events: { event: string; [member: string]: unknown }[]
  state: SessionState
}

/** A session as lists show it. */
export interface SessionSummary {
  session_id: string
  sync_mode: SyncMode
  status: Status
  version: number
  epoch: number
  active_participant_id: string | null
  deadline_at: string | null
  created_at: string
  updated_at: string
  [member: string]: unknown
}

export interface StateMessage {
  type: 'STATE_UPDATE' | 'STATE_SYNC'
  sessionId: string
  timestamp: number
  skipped?: number
  state: SessionState
}

/** What changed since `base_version`. Metadata and groups are replaced whole. */
export interface StateDelta {
  type: 'STATE_DELTA'
  sessionId: string
  timestamp: number
  epoch: number
  version: number
  base_version: number
  set?: Partial<SessionState>
  unset?: string[]
  participants?: { participant_id: string; set?: Partial<Participant>; unset?: string[] }[]
}

export interface ConnectedMessage { type: 'CONNECTED'; sessionId: string; timestamp: number; expires_at?: string }
export interface TokenMessage { type: 'AUTHENTICATED' | 'TOKEN_EXPIRING'; timestamp: number; expires_at?: string }
export interface SessionDeletedMessage {
  type: 'SESSION_DELETED'
  sessionId: string
  timestamp: number
  reason?: 'lapsed'
}
export interface TimeWarningMessage {
  type: 'TIME_WARNING'
  sessionId: string
  timestamp: number
  participant_id: string
  time_remaining_ms: number
  threshold_ms: number
}
export interface TimeExpiredMessage {
  type: 'TIME_EXPIRED'
  sessionId: string
  timestamp: number
  expired_participant_id: string
  expired_at: string
}
export interface PongMessage { type: 'PONG'; timestamp: number; client_timestamp?: number; received_at?: number }
export interface ResultMessage {
  type: 'RESULT'
  request_id: string
  status: number
  replayed?: true
  data?: SessionState | SwitchResult
  error?: ErrorBody
  server_time_ms: number
}
export interface ErrorMessage { type: 'ERROR'; code: string; message: string }

/** What the server sends over a WebSocket. What else comes is told as `message`. */
export type ServerMessage = ConnectedMessage | TokenMessage | StateMessage | StateDelta | SessionDeletedMessage
  | TimeWarningMessage | TimeExpiredMessage | PongMessage | ResultMessage | ErrorMessage

/** What REST and RESULT have under `error`. */
export interface ErrorBody { code: string; message: string; details?: unknown; retry_after_seconds?: number }
