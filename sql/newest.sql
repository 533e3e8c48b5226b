-- The newest state that was written of the session $1, as it was written, with the ids of its latest changes, newest first.
select
    epoch,
    version,
    floor(extract(epoch from "timestamp") * 1000)::bigint as at_ms,
    event_type = 'session_deleted' as is_deleted,
    coalesce(state_json::text, state_snapshot::text) as state,
    array(
        select id::text from sync_events
        where session_id = $1::text::uuid
        order by epoch desc, version desc, "timestamp" desc
        limit 16
    ) as events
from sync_events
where session_id = $1::text::uuid and (state_json is not null or state_snapshot is not null)
order by epoch desc, version desc, "timestamp" desc
limit 1
