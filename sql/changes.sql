-- Changes of the session $1 after the state ($2, $3), $4 of them at most, each as the job that it was. A job has no
-- member that is null, but what is inside its state may be.
select
    epoch,
    version,
    event_type = 'session_deleted' as is_deletion,
    (
        jsonb_strip_nulls(jsonb_build_object(
            'event_id', id,
            'session_id', session_id,
            'epoch', epoch,
            'version', version,
            'event_type', event_type,
            'timestamp_ms', (extract(epoch from "timestamp") * 1000)::bigint,
            'participant_id', participant_id,
            'group_id', group_id,
            'time_remaining_ms', time_remaining_ms,
            'time_elapsed_ms', time_elapsed_ms,
            'cycle_number', cycle_number
        ))
        || jsonb_build_object('events', metadata -> 'events', 'state', state_snapshot)
    )::text as job
from sync_events
where session_id = $1::text::uuid and (epoch, version) > ($2::bigint, $3::bigint)
order by epoch, version
limit $4::bigint
