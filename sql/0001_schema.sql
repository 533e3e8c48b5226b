-- The record of every session's life. Lengths of time are whole milliseconds; (epoch, version) names a state for ever.
-- Applied again it makes what is missing and leaves what is there.

do $$ begin
    if to_regtype('sync_mode') is null then
        create type sync_mode as enum ('per_participant', 'per_cycle', 'per_group', 'global', 'count_up');
    end if;
    if to_regtype('sync_status') is null then
        create type sync_status as enum ('pending', 'running', 'paused', 'expired', 'completed', 'cancelled');
    end if;
end $$;

-- A row for each session: its newest state. Updated often, so that room is left beside each row.
create table if not exists sync_sessions (
    session_id uuid primary key,
    sync_mode sync_mode not null,
    time_per_cycle_ms bigint,
    increment_ms bigint not null,
    max_time_ms bigint,
    created_at timestamptz not null,
    started_at timestamptz,
    completed_at timestamptz,
    final_status sync_status check (final_status in ('expired', 'completed', 'cancelled')),
    total_cycles bigint not null,
    total_participants integer not null,
    metadata jsonb,
    last_updated_at timestamptz not null,
    epoch bigint not null,
    version bigint not null,
    deleted_at timestamptz
) with (fillfactor = 70);

-- A row for each change. Never updated.
create table if not exists sync_events (
    id uuid not null,
    session_id uuid not null,
    event_type varchar(50) not null,
    participant_id uuid,
    group_id uuid,
    time_remaining_ms bigint,
    time_elapsed_ms bigint,
    cycle_number bigint not null,
    "timestamp" timestamptz not null,
    state_snapshot jsonb,
    metadata jsonb,
    epoch bigint not null,
    version bigint not null
);

-- A row for each participant of a session, as of the session's newest state: (epoch, version) is the last change that
-- may have concerned them.
create table if not exists sync_participants (
    id bigint generated always as identity primary key,
    session_id uuid not null,
    participant_id uuid not null,
    total_time_ms bigint not null,
    group_id uuid,
    total_cycles bigint not null,
    total_time_active_ms bigint not null,
    added_at timestamptz not null,
    first_active_at timestamptz,
    last_active_at timestamptz,
    metadata jsonb,
    epoch bigint not null,
    version bigint not null,
    unique (session_id, participant_id)
) with (fillfactor = 70);
