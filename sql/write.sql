-- Writes a batch of jobs, $1: all of them or none.
--
-- Each job is parsed once. Every part touches its rows in the order of their ids, and the parts run in the same order
-- in every transaction, so that writers wait for each other and never in a circle.
with jobs as materialized (
    select
        job.event_id,
        job.session_id,
        job.epoch,
        job.version,
        job.event_type,
        to_timestamp(job.timestamp_ms::float8 / 1000) as at,
        job.participant_id,
        job.group_id,
        job.time_remaining_ms,
        job.time_elapsed_ms,
        job.cycle_number,
        job.events,
        job.state,
        (job.state ->> 'active_participant_id')::uuid as active_id,
        (job.state ->> 'cycle_started_at')::timestamptz as active_since
    from unnest($1::text[]) as given (text)
    cross join lateral json_to_record(given.text::json) as job (
        event_id uuid,
        session_id uuid,
        epoch bigint,
        version bigint,
        event_type text,
        timestamp_ms bigint,
        participant_id uuid,
        group_id uuid,
        time_remaining_ms bigint,
        time_elapsed_ms bigint,
        cycle_number bigint,
        events jsonb,
        state jsonb
    )
),

-- One upsert may not touch a row twice.
newest as materialized (
    select distinct on (session_id) session_id, epoch, version, event_type, at, cycle_number, state
    from jobs
    order by session_id, epoch desc, version desc
),

-- Since when and until when participants were at their turn, as far as the batch knows: in the state that a change
-- made, and, for whom the change was about, before it.
turns as (
    select session_id, participant_id, min(since) as since, max(until) as until
    from (
        select session_id, active_id as participant_id, coalesce(active_since, at) as since, at as until
        from jobs
        where active_id is not null
        union all
        select session_id, participant_id, at - coalesce(time_elapsed_ms, 0) * interval '1 millisecond', at
        from jobs
        where participant_id is not null
    ) as turn
    group by session_id, participant_id
),

events as (
    insert into sync_events (
        id, session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number,
        "timestamp", state_snapshot, metadata, epoch, version
    )
    select
        event_id, session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number,
        at, state, jsonb_build_object('events', events), epoch, version
    from jobs
    order by event_id
    on conflict (id) do nothing
),

sessions as (
    insert into sync_sessions as kept (
        session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, created_at, started_at, completed_at,
        final_status, total_cycles, total_participants, metadata, last_updated_at, epoch, version, deleted_at
    )
    select
        newest.session_id,
        (newest.state ->> 'sync_mode')::sync_mode,
        (newest.state ->> 'time_per_cycle_ms')::bigint,
        (newest.state ->> 'increment_ms')::bigint,
        (newest.state ->> 'max_time_ms')::bigint,
        (newest.state ->> 'created_at')::timestamptz,
        (newest.state ->> 'session_started_at')::timestamptz,
        (newest.state ->> 'session_completed_at')::timestamptz,
        case
            when newest.state ->> 'status' in ('expired', 'completed', 'cancelled')
                then (newest.state ->> 'status')::sync_status
        end,
        newest.cycle_number,
        jsonb_array_length(newest.state -> 'participants'),
        newest.state -> 'metadata',
        newest.at,
        newest.epoch,
        newest.version,
        case when newest.event_type = 'session_deleted' then newest.at end
    from newest
    order by newest.session_id
    on conflict (session_id) do update set
        sync_mode = excluded.sync_mode,
        time_per_cycle_ms = excluded.time_per_cycle_ms,
        increment_ms = excluded.increment_ms,
        max_time_ms = excluded.max_time_ms,
        created_at = excluded.created_at,
        started_at = excluded.started_at,
        completed_at = excluded.completed_at,
        final_status = excluded.final_status,
        total_cycles = excluded.total_cycles,
        total_participants = excluded.total_participants,
        metadata = excluded.metadata,
        last_updated_at = excluded.last_updated_at,
        epoch = excluded.epoch,
        version = excluded.version,
        deleted_at = excluded.deleted_at
    where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
)

-- Totals are the newest state's; turns are what all changes say together, in whatever order they come.
insert into sync_participants as kept (
    session_id, participant_id, total_time_ms, group_id, total_cycles, total_time_active_ms, added_at,
    first_active_at, last_active_at, metadata, epoch, version
)
select
    newest.session_id,
    participant.participant_id,
    participant.initial_time_ms,
    participant.group_id,
    participant.cycle_count,
    participant.time_used_ms,
    (newest.state ->> 'created_at')::timestamptz,
    turns.since,
    turns.until,
    jsonb_strip_nulls(jsonb_build_object(
        'participant_index', participant.participant_index,
        'has_expired', participant.has_expired,
        'expired_at', participant.expired_at
    )),
    newest.epoch,
    newest.version
from newest
cross join lateral jsonb_to_recordset(newest.state -> 'participants') as participant (
    participant_id uuid,
    initial_time_ms bigint,
    group_id uuid,
    cycle_count bigint,
    time_used_ms bigint,
    participant_index bigint,
    has_expired boolean,
    expired_at text
)
left join turns on turns.session_id = newest.session_id and turns.participant_id = participant.participant_id
order by newest.session_id, participant.participant_id
on conflict (session_id, participant_id) do update set
    total_time_ms = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.total_time_ms else kept.total_time_ms
    end,
    group_id = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.group_id else kept.group_id
    end,
    total_cycles = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.total_cycles else kept.total_cycles
    end,
    total_time_active_ms = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.total_time_active_ms else kept.total_time_active_ms
    end,
    added_at = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.added_at else kept.added_at
    end,
    first_active_at = least(kept.first_active_at, excluded.first_active_at),
    last_active_at = greatest(kept.last_active_at, excluded.last_active_at),
    metadata = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.metadata else kept.metadata
    end,
    epoch = greatest(kept.epoch, excluded.epoch),
    version = case
        when (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
            then excluded.version else kept.version
    end
where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
    or excluded.first_active_at < coalesce(kept.first_active_at, 'infinity')
    or excluded.last_active_at > coalesce(kept.last_active_at, '-infinity')
