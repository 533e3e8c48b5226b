-- The record keeps bytes: states and metadata as they were written, beside what was converted before. A change's place in
-- its session's history is what is unique; beside it no index is paid for by a switch. Applied again it makes what is
-- missing and leaves what is there.

alter table sync_events
    add column if not exists state_json json,
    add column if not exists metadata_json json,
    add column if not exists actor text,
    alter state_snapshot drop not null,
    alter metadata drop not null;

-- The status as of the newest state, and when its clock runs out: it is not over before.
alter table sync_sessions
    add column if not exists status sync_status,
    add column if not exists deadline_at timestamptz,
    add column if not exists metadata_json json;

do $$ declare
    old record;
begin
    if exists (
        select from pg_constraint
        where conrelid = 'sync_events'::regclass and contype in ('p', 'u')
            and pg_get_constraintdef(oid) like '% (session_id, epoch, version, "timestamp")'
    ) then
        return;
    end if;
    for old in
        select conname from pg_constraint where conrelid = 'sync_events'::regclass and contype in ('p', 'u')
    loop
        execute format('alter table sync_events drop constraint %I', old.conname);
    end loop;
    -- Instants are whole milliseconds: where two changes had one place there is room to tell them apart.
    update sync_events set "timestamp" = sync_events."timestamp" + (taken.number - 1) * interval '1 microsecond'
    from (
        select ctid as place,
            row_number() over (partition by session_id, epoch, version, "timestamp" order by id) as number
        from sync_events
    ) as taken
    where sync_events.ctid = taken.place and taken.number > 1;
    alter table sync_events add primary key (session_id, epoch, version, "timestamp");
    drop index if exists sync_events_history;
    drop index if exists sync_events_time;
end $$;

create index if not exists sync_events_time_range on sync_events using brin ("timestamp");

-- Most changes are switches: whoever looks for anything else does not pay for them.
create index if not exists sync_events_kind on sync_events (event_type, "timestamp") where event_type <> 'cycle_switched';

do $$ declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('sync_sessions', 'created_at', '(created_at desc)'),
            ('sync_sessions', 'status', '(status)'),
            ('sync_sessions', 'sync_mode', '(sync_mode)'),
            ('sync_participants', 'participant_id', '(participant_id)'),
            ('sync_participants', 'group_id', '(group_id) where group_id is not null')
        ) as list (relation, attribute, keys)
    loop
        if not exists (
            select from pg_index
            where indrelid = wanted.relation::regclass and pg_get_indexdef(indexrelid, 1, true) = wanted.attribute
        ) then
            execute format('create index on %I %s', wanted.relation, wanted.keys);
        end if;
    end loop;
end $$;

update sync_sessions set status = coalesce(
    final_status,
    (
        select case
            when state_snapshot ->> 'status' = any (enum_range(null::sync_status)::text[])
                then (state_snapshot ->> 'status')::sync_status
        end
        from sync_events
        where sync_events.session_id = sync_sessions.session_id
        order by epoch desc, version desc
        limit 1
    )
)
where status is null;

-- Refuses a change whose place another one has.
create or replace function sync_place_taken(kept uuid, refused uuid) returns uuid language plpgsql as $$ begin
    raise unique_violation using message = format('the place of the change %s is taken by the change %s', refused, kept);
end $$;

-- The tables as people read them: what was kept as text and what was converted before, both as jsonb.
create or replace view audit_events as
select
    id, session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number, "timestamp",
    coalesce(state_json::jsonb, state_snapshot) as state_snapshot,
    coalesce(metadata_json::jsonb, metadata) as metadata,
    epoch, version, actor
from sync_events;

-- A later migration gives it more columns, which none of it takes away.
do $$ begin
    if not exists (
        select from pg_attribute where attrelid = to_regclass('audit_sessions') and attname = 'time_control'
    ) then
        execute $view$
            create or replace view audit_sessions as
            select
                session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, created_at, started_at,
                completed_at, status, final_status, total_cycles, total_participants,
                coalesce(metadata_json::jsonb, metadata) as metadata, deadline_at, last_updated_at, epoch, version,
                deleted_at
            from sync_sessions
        $view$;
    end if;
end $$;

-- The tables as version 1 had them: its types and its meanings.
create or replace view v1_sessions as
select
    session_id,
    sync_mode,
    time_per_cycle_ms::integer as time_per_cycle_ms,
    increment_ms::integer as increment_ms,
    max_time_ms::integer as max_time_ms,
    created_at,
    started_at,
    case when status = 'completed' then completed_at end as completed_at,
    status as final_status,
    least(total_cycles, 2147483647)::integer as total_cycles,
    total_participants,
    coalesce(metadata_json::jsonb, metadata, '{}') as metadata,
    last_updated_at
from sync_sessions;

-- Of a change version 1 told whose turn it was afterwards, and what that clock had left; of a deletion it told nothing.
create or replace view v1_events as
select
    id,
    session_id,
    (case when event_type = 'session_created' then event_type else 'session_updated' end)::varchar(50) as event_type,
    case when is_own then (state ->> 'active_participant_id')::uuid else participant_id end as participant_id,
    case when is_own then (active ->> 'group_id')::uuid else group_id end as group_id,
    (case when is_own then (active ->> 'time_remaining_ms')::bigint else time_remaining_ms end)::integer
        as time_remaining_ms,
    least(time_elapsed_ms, 2147483647)::integer as time_elapsed_ms,
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
where event_type <> 'session_deleted';

create or replace view v1_participants as
select
    md5(session_id::text || participant_id::text)::uuid as id,
    session_id,
    participant_id,
    total_time_ms::integer as total_time_ms,
    group_id,
    least(total_cycles, 2147483647)::integer as total_cycles,
    least(total_time_active_ms, 2147483647)::integer as total_time_active_ms,
    added_at,
    first_active_at,
    last_active_at,
    coalesce(metadata, '{}') as metadata
from sync_participants;
