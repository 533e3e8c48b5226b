-- The newest state that was written of the session $1.
select
    epoch,
    version,
    (extract(epoch from "timestamp") * 1000)::bigint as at_ms,
    event_type = 'session_deleted' as is_deleted,
    state_snapshot::text as state
from sync_events
where session_id = $1::text::uuid
order by epoch desc, version desc
limit 1
