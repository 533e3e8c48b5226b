-- Sessions with a time control, of which each clock may have up to a year. An older server does not write into a database
-- that has this. Applied again it makes what is missing and leaves what is there.

alter table sync_sessions
    add column if not exists time_control jsonb;

create or replace view audit_sessions as
select
    session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, created_at, started_at, completed_at, status,
    final_status, total_cycles, total_participants, coalesce(metadata_json::jsonb, metadata) as metadata, deadline_at,
    last_updated_at, epoch, version, deleted_at, time_control
from sync_sessions;

-- What version 1 could not count stands as the most that it could.
create or replace view v1_events as
select
    id,
    session_id,
    (case when event_type = 'session_created' then event_type else 'session_updated' end)::varchar(50) as event_type,
    case when is_own then (state ->> 'active_participant_id')::uuid else participant_id end as participant_id,
    case when is_own then (active ->> 'group_id')::uuid else group_id end as group_id,
    case when shown_ms > 2147483647 then 2147483647 else shown_ms end::integer as time_remaining_ms,
    case when time_elapsed_ms > 2147483647 then 2147483647 else time_elapsed_ms end::integer as time_elapsed_ms,
    least(cycle_number, 2147483647)::integer as cycle_number,
    "timestamp",
    state as state_snapshot,
    coalesce(metadata_json::jsonb, metadata, '{}') as metadata
from sync_events
cross join lateral (select coalesce(state_json::jsonb, state_snapshot) as state) as kept
cross join lateral (
    select
        state ? 'epoch' is true as is_own,
        jsonb_path_query_first(state, '$.participants[*] ? (@.is_active == true)') as active
) as told
cross join lateral (
    select case when is_own then (active ->> 'time_remaining_ms')::bigint else time_remaining_ms end as shown_ms
) as clock
where event_type <> 'session_deleted';

create or replace view v1_participants as
select
    md5(session_id::text || participant_id::text)::uuid as id,
    session_id,
    participant_id,
    least(total_time_ms, 2147483647)::integer as total_time_ms,
    group_id,
    least(total_cycles, 2147483647)::integer as total_cycles,
    least(total_time_active_ms, 2147483647)::integer as total_time_active_ms,
    added_at,
    first_active_at,
    last_active_at,
    coalesce(metadata, '{}') as metadata
from sync_participants;
