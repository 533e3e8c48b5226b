-- Writes changes. Each parameter is a column of rows that stand in the order of their places. What was written before is
-- not written again; whoever finds another change in its place is refused.
insert into sync_events as kept (
    id, session_id, event_type, participant_id, group_id, time_remaining_ms, time_elapsed_ms, cycle_number, "timestamp",
    state_json, metadata_json, epoch, version, actor
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
    unnest($10::json[]),
    unnest($11::json[]),
    unnest($12::bigint[]),
    unnest($13::bigint[]),
    unnest($14::text[])
on conflict (session_id, epoch, version, "timestamp") do update set id = sync_place_taken(kept.id, excluded.id)
where kept.id <> excluded.id
