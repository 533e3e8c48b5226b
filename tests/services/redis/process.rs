//! An instance as a process, and its reports of lost changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use test_support::http::Connection;
use test_support::metrics::value as series;
use test_support::program::Program;
use test_support::wait;

use super::ready;

/// An instance, and how many sessions it reported as set back.
pub(super) struct Instance {
    pub(super) program: Program,
    behind: Arc<AtomicU64>,
}

impl Instance {
    pub(super) async fn start(url: &str, settings: &[(&str, &str)]) -> Self {
        let own = [("REDIS_URL", url), ("RATE_LIMIT_SWITCH", "0"), ("LOG_LEVEL", "info")];
        let mut program = Program::start(&[&own[..], settings].concat());
        ready(program.address).await;
        let behind = Arc::new(AtomicU64::new(0));
        let (reported, process) = (Arc::clone(&behind), program.child.id());
        let is_shown = std::env::var_os("SYNCKAIROS_TEST_LOGS").is_some();
        program.leave_log(move |line| {
            if line.contains("forgot acknowledged changes") {
                let said: Value = serde_json::from_str(line).expect("a log line is JSON");
                reported.fetch_add(said["behind"].as_u64().expect("a number"), Ordering::Relaxed);
            }
            if is_shown {
                print!("{process} ");
            }
            is_shown || line.contains("fault of ours") || line.contains("in part")
        });
        Self { program, behind }
    }

    /// How many sessions it has said are behind.
    pub(super) fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// The same, as it is counted.
    pub(super) async fn reported(&self) -> u64 {
        let metrics = Connection::open(self.program.address).await.ask("GET", "/metrics", "").await.body;
        let counted = series(&metrics, "synckairos_store_sessions_behind_total") as u64;
        wait::until("the log and the metric agree", async || self.behind() == counted).await;
        counted
    }
}
