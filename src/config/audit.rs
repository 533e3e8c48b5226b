//! The settings of the audit: the database, and how it is written. Does not know what is written.

use crate::postgres::{PostgresAccess, PostgresServer};

use super::reader::SettingsReader;

/// Where changes are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// The database, and how to get in.
    pub access: PostgresAccess,
    /// How many threads write.
    pub threads: usize,
    /// How many bytes may wait.
    pub queue_bytes_max: u64,
}

impl<L: Fn(&str) -> Option<String>> SettingsReader<L> {
    /// Where the database is, if it is given.
    pub(super) fn database(&mut self) -> Option<PostgresAccess> {
        let is_encrypted = match self.given("DATABASE_SSL").as_deref() {
            None => None,
            Some("true" | "on" | "1") => Some(true),
            Some("false" | "off" | "0") => Some(false),
            Some(other) => {
                self.problem(format!("DATABASE_SSL: {other:?} is not true or false; sslmode in the URL says more"));
                None
            }
        };
        let (url, password) = (self.secret("DATABASE_URL"), self.secret("DATABASE_PASSWORD"));
        let access = PostgresAccess { url: url?, password, is_encrypted };
        if let Err(why) = PostgresServer::open(&access) {
            self.problem(format!("DATABASE_URL: {why}"));
        }
        Some(access)
    }

    /// To go without an audit must be explicit; to ignore a setting that asks for one would lose it.
    pub(super) fn audit(&mut self, is_shared: bool) -> Option<AuditSettings> {
        let is_on = self.parse("AUDIT", "on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        });
        let threads = self.parse("DATABASE_POOL_MAX", "a whole number from 1 to 100", |text| {
            text.parse().ok().filter(|threads| (1..=100).contains(threads))
        });
        let queue_bytes_max = self.parse("AUDIT_QUEUE_MAX_BYTES", "a whole number of bytes, at least 65536", |text| {
            text.parse().ok().filter(|bytes| *bytes >= 65_536)
        });
        let known = self.problem_count();
        let access = self.database();
        match (is_on, is_shared, access) {
            (Some(true), true, Some(access)) => {
                Some(AuditSettings { access, threads: threads?, queue_bytes_max: queue_bytes_max? })
            }
            (Some(true), true, None) => {
                let what = "every change is written there; without it, say that you know with AUDIT=off";
                if self.problem_count() == known {
                    self.problem(format!("DATABASE_URL: missing: {what}"));
                }
                None
            }
            (Some(true), false, Some(_)) => {
                self.problem("DATABASE_URL: of use only with REDIS_URL; unset it, or set AUDIT=off".to_owned());
                None
            }
            (Some(true), false, None) => {
                for name in ["DATABASE_PASSWORD", "DATABASE_SSL"] {
                    if self.is_given(name) && self.problem_count() == known {
                        self.problem(format!("{name}: of use only with DATABASE_URL; unset it, or give both"));
                    }
                }
                None
            }
            (Some(false) | None, ..) => None,
        }
    }
}
