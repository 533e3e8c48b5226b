-- Changes of the session $1 from the state ($2, $3) on, but for the first $4, each as the job that it was: the same bytes, but for what was
-- converted to jsonb before they were kept.
select
    epoch,
    version,
    event_type = 'session_deleted' as is_deletion,
    concat(
        '{"event_id":"', id, '","session_id":"', session_id, '","epoch":', epoch, ',"version":', version,
        ',"event_type":', to_json(event_type),
        ',"timestamp_ms":', floor(extract(epoch from "timestamp") * 1000)::bigint,
        ',"participant_id":"' || participant_id || '"',
        ',"group_id":"' || group_id || '"',
        ',"time_remaining_ms":' || time_remaining_ms,
        ',"time_elapsed_ms":' || time_elapsed_ms,
        ',"actor":' || to_json(actor)::text,
        ',"cycle_number":', cycle_number,
        ',"events":', coalesce(metadata_json -> 'events', (metadata -> 'events')::json, '[]'),
        ',"state":', coalesce(state_json, state_snapshot::json, 'null'),
        '}'
    ) as job
from sync_events
where session_id = $1::text::uuid and (epoch, version) >= ($2::bigint, $3::bigint)
order by epoch, version, "timestamp"
offset $4::bigint
