-- Writes a batch: all of it or nothing. Each parameter is a column of rows that stand in the order of their ids: $1 to
-- $13 are changes, $14 to $29 sessions, $30 to $41 participants. Lists are unrolled where columns are named, and not in
-- `from`, which would first copy all rows to a place of their own.
--
-- Every part touches its rows in the order given, and the parts run in the same order in every transaction, so that
-- writers wait for each other and never in a circle. The longest part runs first: it meets nobody, and what others want
-- too is held only after it.
with sessions as (
    insert into sync_sessions as kept (
        session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, created_at, started_at, completed_at,
        final_status, total_cycles, total_participants, metadata, last_updated_at, epoch, version, deleted_at
    )
    select
        unnest($14::uuid[]),
        unnest($15::text[])::sync_mode,
        unnest($16::bigint[]),
        unnest($17::bigint[]),
        unnest($18::bigint[]),
        unnest($19::timestamptz[]),
        unnest($20::timestamptz[]),
        unnest($21::timestamptz[]),
        unnest($22::text[])::sync_status,
        unnest($23::bigint[]),
        unnest($24::bigint[]),
        unnest($25::jsonb[]),
        unnest($26::timestamptz[]),
        unnest($27::bigint[]),
        unnest($28::bigint[]),
        unnest($29::timestamptz[])
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
),

-- Totals are what was said last; turns are what all changes say together, in whatever order they come.
participants as (
    insert into sync_participants as kept (
        session_id, participant_id, total_time_ms, group_id, total_cycles, total_time_active_ms, added_at,
        first_active_at, last_active_at, metadata, epoch, version
    )
    select
        unnest($30::uuid[]),
        unnest($31::uuid[]),
        unnest($32::bigint[]),
        unnest($33::uuid[]),
        unnest($34::bigint[]),
        unnest($35::bigint[]),
        unnest($36::timestamptz[]),
        unnest($37::timestamptz[]),
        unnest($38::timestamptz[]),
        unnest($39::jsonb[]),
        unnest($40::bigint[]),
        unnest($41::bigint[])
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
)

insert into sync_events (
    id, session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number, "timestamp",
    state_snapshot, metadata, epoch, version
)
select
    unnest($1::uuid[]),
    unnest($2::uuid[]),
    unnest($3::text[]),
    unnest($4::uuid[]),
    unnest($5::uuid[]),
    unnest($6::bigint[]),
    unnest($7::bigint[]),
    unnest($8::bigint[]),
    unnest($9::timestamptz[]),
    unnest($10::jsonb[]),
    unnest($11::jsonb[]),
    unnest($12::bigint[]),
    unnest($13::bigint[])
on conflict (id) do nothing
