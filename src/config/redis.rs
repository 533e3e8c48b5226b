//! The settings of Redis: where it is, how to get in, and how sessions are kept there. Does not know how Redis is spoken to.

use std::time::Duration;

use crate::redis::{Certificates, RedisAccess, RedisServer};

use super::reader::SettingsReader;

/// Partitions with a Cluster, unless PARTITIONS is given.
const CLUSTER_PARTITIONS: u16 = 32;

/// Where in Redis sessions are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// The server, or those that know it, and how to get in.
    pub access: RedisAccess,
    /// What names begin with.
    pub prefix: String,
    /// How many parts they are divided into.
    pub partitions: u16,
    /// How many replicas must have a change before it is acknowledged.
    pub replicas_min: u32,
    /// In which format states are to be written.
    pub record_format: u8,
}

impl<L: Fn(&str) -> Option<String>> SettingsReader<L> {
    pub(super) fn redis(&mut self) -> Option<RedisSettings> {
        let prefix = self.given("REDIS_PREFIX").unwrap_or_default();
        let is_divided = self.given("PARTITIONS").is_some();
        let partitions = self.parse("PARTITIONS", "a whole number from 1 to 999", |text| {
            text.parse().ok().filter(|count| (1..=999).contains(count))
        });
        let mut partitions = partitions.unwrap_or(1);
        let replicas_min = self.parse("REDIS_REPLICAS_MIN", "a whole number from 0 to 100", |text| {
            text.parse().ok().filter(|count| (0..=100).contains(count))
        });
        let record_format = self.parse("RECORD_FORMAT", "1 or 2", |text| match text {
            "1" => Some(1),
            "2" => Some(2),
            _ => None,
        });
        let known = self.problem_count();
        let certificates = self.certificates();
        // What cannot be read is a problem already.
        let readable = if self.problem_count() == known { certificates.clone() } else { Certificates::default() };
        let known = self.problem_count();
        let (url, password) = (self.secret("REDIS_URL"), self.secret("REDIS_PASSWORD"));
        let Some(url) = url else {
            if password.is_some() && self.problem_count() == known {
                self.problem("REDIS_PASSWORD: of use only with REDIS_URL; unset it, or give both".to_owned());
            }
            return None;
        };
        let access = RedisAccess { url, password, certificates: readable };
        match RedisServer::open(&access, Duration::ZERO) {
            Ok(server) if server.is_cluster() && !is_divided => partitions = CLUSTER_PARTITIONS,
            Ok(server) if server.is_cluster() && partitions < 2 => {
                self.problem("PARTITIONS: a Cluster needs 2 or more".to_owned());
            }
            Ok(_) => {}
            Err(why) => self.problem(format!("REDIS_URL: {why}")),
        }
        let access = RedisAccess { certificates, ..access };
        Some(RedisSettings { access, prefix, partitions, replicas_min: replicas_min?, record_format: record_format? })
    }

    fn certificates(&mut self) -> Certificates {
        let authority = self.file("REDIS_CA_CERT");
        let client = match (self.file("REDIS_CLIENT_CERT"), self.file("REDIS_CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                self.problem("REDIS_CLIENT_KEY: a certificate is of no use without its key".to_owned());
                None
            }
            (None, Some(_)) => {
                self.problem("REDIS_CLIENT_CERT: a key is of no use without its certificate".to_owned());
                None
            }
        };
        Certificates { authority, client }
    }
}
