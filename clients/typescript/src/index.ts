// The package's main entry.

export { createClient } from './client.ts'
export type { Client, ClientClock, ClientOptions, Query } from './client.ts'
export type { CallOptions } from './commands.ts'
export type { Env, Page, PageEvent } from './env.ts'
export { SyncKairosError, UnauthorizedError, UnsupportedError } from './errors.ts'
export type { CloseReason, LinkPhase } from './link.ts'
export type { Session } from './session.ts'
export type { Events, Snapshot, SwitchOutcome } from './snapshot.ts'
export type { Threshold } from './thresholds.ts'
export type { GetToken, TokenContext, TokenReason } from './tokens.ts'
export type * from './types.ts'
