-- What stands in the database, whatever is said to have been applied: whether there is a table of migrations, whether the
-- tables are those of version 1, and whether all is there that the migrations make.
select
    to_regclass('sync_migrations') is not null,
    to_regclass('sync_sessions') is not null and to_regclass('sync_events') is not null and not exists (
        select from pg_attribute
        where attrelid = to_regclass('sync_events') and attname = 'epoch' and not attisdropped
    ),
    (
        select bool_and(to_regclass(relation) is not null and (attribute is null or exists (
            select from pg_attribute
            where attrelid = to_regclass(relation) and attname = attribute and not attisdropped
        )))
        from (values
            ('sync_sessions', 'metadata_json'),
            ('sync_sessions', 'deadline_at'),
            ('sync_sessions', 'status'),
            ('sync_sessions', 'time_control'),
            ('sync_events', 'state_json'),
            ('sync_events', 'metadata_json'),
            ('sync_events', 'actor'),
            ('audit_events', 'actor'),
            ('sync_participants', null),
            ('sync_revocations', null),
            ('audit_events', null),
            ('audit_sessions', 'time_control'),
            ('v1_sessions', null),
            ('v1_events', null),
            ('v1_participants', null)
        ) as list (relation, attribute)
    ) and exists (
        select from pg_constraint
        where conrelid = to_regclass('sync_events') and contype in ('p', 'u')
            and pg_get_constraintdef(oid) like '% (session_id, epoch, version, "timestamp")'
    ) and to_regproc('sync_place_taken') is not null
