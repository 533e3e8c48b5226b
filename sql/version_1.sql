-- Makes the tables of version 1 those of 0001, with all of their rows. Version 1 must not run any more: its writers rely
-- on defaults that are gone afterwards.

-- A session's present status stood in final_status.
alter table sync_sessions
    alter time_per_cycle_ms type bigint,
    alter increment_ms type bigint,
    alter increment_ms drop default,
    alter max_time_ms type bigint,
    alter created_at drop default,
    alter total_cycles type bigint,
    alter total_cycles drop default,
    alter total_participants drop default,
    alter metadata drop default,
    alter last_updated_at drop default,
    add status sync_status,
    add epoch bigint not null default 0,
    add version bigint not null default 0,
    add deleted_at timestamptz;

alter table sync_sessions set (fillfactor = 70);

-- Writers of this version write a change before its session.
do $$ declare
    held record;
begin
    for held in
        select conrelid::regclass as owner, conname from pg_constraint
        where contype = 'f' and confrelid = 'sync_sessions'::regclass
    loop
        execute format('alter table %s drop constraint %I', held.owner, held.conname);
    end loop;
end $$;

update sync_sessions set
    status = final_status,
    final_status = case when final_status in ('expired', 'completed', 'cancelled') then final_status end,
    increment_ms = coalesce(increment_ms, 0),
    total_cycles = coalesce(total_cycles, 0),
    total_participants = coalesce(total_participants, 0),
    last_updated_at = coalesce(last_updated_at, created_at);

alter table sync_sessions
    alter increment_ms set not null,
    alter total_cycles set not null,
    alter total_participants set not null,
    alter last_updated_at set not null,
    add check (final_status in ('expired', 'completed', 'cancelled'));

alter table sync_events
    alter id drop default,
    alter time_remaining_ms type bigint,
    alter time_elapsed_ms type bigint,
    alter cycle_number type bigint,
    alter "timestamp" drop default,
    alter metadata drop default,
    add epoch bigint not null default 0,
    add version bigint not null default 0;

-- Each life of a session is told by when it was created, as later ones are by when their epoch began.
update sync_events set
    cycle_number = coalesce(cycle_number, 0),
    epoch = case
        when state_snapshot ->> 'created_at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$'
            then floor(extract(epoch from (state_snapshot ->> 'created_at')::timestamptz) * 1000)::bigint
        else 0
    end,
    version = case
        when state_snapshot ->> 'version' ~ '^\d{1,15}$' then (state_snapshot ->> 'version')::bigint
        else 0
    end;

alter table sync_events
    alter cycle_number set not null,
    alter epoch drop default,
    alter version drop default;

alter table if exists sync_participants
    alter total_time_ms type bigint,
    alter total_cycles type bigint,
    alter total_cycles drop default,
    alter total_time_active_ms type bigint,
    alter total_time_active_ms drop default,
    alter added_at drop default,
    alter metadata drop default,
    add epoch bigint not null default 0,
    add version bigint not null default 0;

do $$ declare
    old record;
begin
    if to_regclass('sync_participants') is not null then
        update sync_participants set
            total_cycles = coalesce(total_cycles, 0),
            total_time_active_ms = coalesce(total_time_active_ms, 0);
        alter table sync_participants
            alter total_cycles set not null,
            alter total_time_active_ms set not null,
            alter epoch drop default,
            alter version drop default;
    end if;
    -- What version 1 had to search its changes by, which each change would go on paying for.
    for old in
        select indexrelid::regclass as name from pg_index
        where indrelid = 'sync_events'::regclass and not indisunique
            and pg_get_indexdef(indexrelid, 1, true) in ('session_id', 'event_type', '"timestamp"', 'participant_id')
    loop
        execute format('drop index %s', old.name);
    end loop;
end $$;

create index sync_events_history on sync_events (session_id, epoch, version);

update sync_sessions set (epoch, version) = (
    select coalesce(max(newest.epoch), 0), coalesce(max(newest.version), 0)
    from (
        select epoch, version from sync_events
        where sync_events.session_id = sync_sessions.session_id
        order by epoch desc, version desc
        limit 1
    ) as newest
);

alter table sync_sessions
    alter epoch drop default,
    alter version drop default;
