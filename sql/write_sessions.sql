-- Writes sessions: of each the newest state. Each parameter is a column of rows that stand in the order of their ids.
-- Lists are unrolled where columns are named, and not in `from`, which would first copy all rows to a place of their own.
insert into sync_sessions as kept (
    session_id, sync_mode, time_per_cycle_ms, increment_ms, max_time_ms, created_at, started_at, completed_at,
    final_status, total_cycles, total_participants, metadata_json, last_updated_at, epoch, version, deleted_at, status,
    deadline_at, time_control
)
select
    unnest($1::uuid[]),
    unnest($2::text[])::sync_mode,
    unnest($3::bigint[]),
    unnest($4::bigint[]),
    unnest($5::bigint[]),
    unnest($6::timestamptz[]),
    unnest($7::timestamptz[]),
    unnest($8::timestamptz[]),
    unnest($9::text[])::sync_status,
    unnest($10::bigint[]),
    unnest($11::bigint[]),
    unnest($12::json[]),
    unnest($13::timestamptz[]),
    unnest($14::bigint[]),
    unnest($15::bigint[]),
    unnest($16::timestamptz[]),
    unnest($17::text[])::sync_status,
    unnest($18::timestamptz[]),
    unnest($19::json[])::jsonb
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
    metadata = null,
    metadata_json = excluded.metadata_json,
    last_updated_at = excluded.last_updated_at,
    epoch = excluded.epoch,
    version = excluded.version,
    deleted_at = excluded.deleted_at,
    status = excluded.status,
    deadline_at = excluded.deadline_at,
    time_control = excluded.time_control
where (excluded.epoch, excluded.version) > (kept.epoch, kept.version)
