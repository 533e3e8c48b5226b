-- Writes participants. Each parameter is a column of rows that stand in the order of their ids. Totals are what was said
-- last; turns are what all changes say together, in whatever order they come.
insert into sync_participants as kept (
    session_id, participant_id, total_time_ms, group_id, total_cycles, total_time_active_ms, added_at,
    first_active_at, last_active_at, metadata, epoch, version
)
select
    unnest($1::uuid[]),
    unnest($2::uuid[]),
    unnest($3::bigint[]),
    unnest($4::uuid[]),
    unnest($5::bigint[]),
    unnest($6::bigint[]),
    unnest($7::timestamptz[]),
    unnest($8::timestamptz[]),
    unnest($9::timestamptz[]),
    unnest($10::jsonb[]),
    unnest($11::bigint[]),
    unnest($12::bigint[])
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
