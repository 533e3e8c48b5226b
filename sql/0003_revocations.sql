-- Revocations, for a Redis that has lost its own. Applied again it leaves what is there.

-- The target is a token's subject (sub:...), its name (jti:...), or a subject in one session (session:...:sub:...). Without an
-- instant all tokens are meant, whenever they were made.
create table if not exists sync_revocations (
    target text primary key,
    issued_before timestamptz,
    until timestamptz not null
);
