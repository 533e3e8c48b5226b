//! Our quantities as PostgreSQL's types, in its binary format. None of them can fail: statements that are pipelined would
//! otherwise be sent in part. Does not know which columns they are for.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::engine::{Millis, Timestamp, Uuid};

type ToSqlResult = Result<IsNull, Box<dyn Error + Sync + Send>>;

/// 2000-01-01T00:00:00Z, from which PostgreSQL counts microseconds.
const BEGIN_MS: i64 = 946_684_800_000;

/// `uuid`.
#[derive(Debug)]
pub(super) struct PgUuid(pub(super) Uuid);

impl ToSql for PgUuid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> ToSqlResult {
        out.put_u128(self.0.bits());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

/// `timestamptz`.
#[derive(Debug)]
pub(super) struct PgTimestamp(pub(super) Timestamp);

impl ToSql for PgTimestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> ToSqlResult {
        let ms = i64::try_from(self.0.as_ms()).unwrap_or(i64::MAX);
        out.put_i64((ms - BEGIN_MS).saturating_mul(1_000));
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

/// `bigint`.
#[derive(Debug)]
pub(super) struct PgBigint(pub(super) u64);

impl From<Millis> for PgBigint {
    fn from(span: Millis) -> Self {
        Self(span.as_ms())
    }
}

impl ToSql for PgBigint {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> ToSqlResult {
        out.put_i64(i64::try_from(self.0).unwrap_or(i64::MAX));
        Ok(IsNull::No)
    }

    accepts!(INT8);
    to_sql_checked!();
}

/// `json` or `jsonb`, of text that is JSON.
#[derive(Debug)]
pub(super) struct PgJson<T>(pub(super) T);

impl<T: AsRef<[u8]> + fmt::Debug> ToSql for PgJson<T> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> ToSqlResult {
        const FORMAT: u8 = 1;
        if *ty == Type::JSONB {
            out.put_u8(FORMAT);
        }
        out.put_slice(self.0.as_ref());
        Ok(IsNull::No)
    }

    accepts!(JSON, JSONB);
    to_sql_checked!();
}
