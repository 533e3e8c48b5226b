-- Writes revocations. Each parameter is a column of rows with different targets; instants are milliseconds. Two of one target
-- come to what both say.
insert into sync_revocations as kept (target, issued_before, until)
select
    unnest($1::text[]),
    'epoch'::timestamptz + unnest($2::bigint[]) * interval '1 millisecond',
    'epoch'::timestamptz + unnest($3::bigint[]) * interval '1 millisecond'
on conflict (target) do update set
    issued_before = case
        when kept.issued_before is not null and excluded.issued_before is not null
            then greatest(kept.issued_before, excluded.issued_before)
    end,
    until = greatest(kept.until, excluded.until)
