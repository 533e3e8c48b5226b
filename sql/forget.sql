-- Removes what is older than $2 seconds of the $3 sessions that come after $1: all of those that are over, and of others
-- what lies before their newest state. Returns the last one that was looked at, null when there was none, and how many
-- changes and sessions are gone. Everything is found by its session, in the order in which it is written.
with slice as (
    select session_id, epoch, version, now() - make_interval(secs => $2::float8) as edge,
        greatest(last_updated_at, deadline_at, deleted_at) < now() - make_interval(secs => $2::float8) as is_over
    from sync_sessions
    where session_id > $1::text::uuid and created_at < now() - make_interval(secs => $2::float8)
    order by session_id
    limit $3::bigint
),

events as (
    delete from sync_events using slice
    where sync_events.session_id = slice.session_id and sync_events."timestamp" < slice.edge
        and (is_over or (sync_events.epoch, sync_events.version) < (slice.epoch, slice.version))
    returning 1
),

sessions as (
    delete from sync_sessions using slice
    where sync_sessions.session_id = slice.session_id and is_over
        and (sync_sessions.epoch, sync_sessions.version) = (slice.epoch, slice.version)
    returning 1
),

participants as (
    delete from sync_participants using slice
    where sync_participants.session_id = slice.session_id and is_over
)

select
    (select session_id::text from slice order by slice.session_id desc limit 1),
    (select count(*) from events),
    (select count(*) from sessions)
