//! A Redis and a PostgreSQL of the test's own, instances on them, and what the audit holds.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::support::http::Connection;
use crate::support::postgres::Postgres;
use crate::support::program::Program;
use crate::support::redis::Redis;
use crate::support::wait;

/// Servers that end with the test. The database's client blocks, so that it is asked on threads of its own.
pub(super) struct Rig {
    pub(super) redis: Redis,
    postgres: Arc<Mutex<Postgres>>,
    url: String,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"]).await
    }

    pub(super) async fn start_with(redis: &[&str]) -> Self {
        let redis = Redis::start_with(redis);
        let postgres = blocking(Postgres::start).await;
        let url = postgres.url("postgres");
        Self { redis, postgres: Arc::new(Mutex::new(postgres)), url }
    }

    /// An instance that is ready.
    pub(super) async fn instance(&self, settings: &[(&str, &str)]) -> Program {
        let redis = self.redis.url();
        let own = [("REDIS_URL", redis.as_str()), ("DATABASE_URL", self.url.as_str()), ("RATE_LIMIT_SWITCH", "0")];
        let program = Program::start(&[&own[..], settings].concat());
        let mut client = Connection::open(program.address).await;
        wait::until("the instance is ready", async || client.ask("GET", "/ready", "").await.status == 200).await;
        program
    }

    /// What the program does beside serving: its exit code, and what it printed.
    pub(super) async fn operate(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = crate::support::program::command();
        command.args(arguments).env("REDIS_URL", self.redis.url()).env("DATABASE_URL", &self.url);
        let output = blocking(move || crate::support::program::output(&mut command)).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).expect("it is text"))
    }

    /// Does something to the database.
    pub(super) async fn postgres(&self, act: impl FnOnce(&mut Postgres) + Send + 'static) {
        let postgres = Arc::clone(&self.postgres);
        blocking(move || act(&mut postgres.lock())).await;
    }

    /// The rows of a query, each as JSON.
    pub(super) async fn rows(&self, sql: &str) -> Vec<Value> {
        let sql = format!("select to_jsonb(asked)::text from ({sql}) asked");
        let postgres = Arc::clone(&self.postgres);
        let rows: Vec<String> = blocking(move || {
            let rows = postgres.lock().connect("postgres").query(&sql, &[]).expect("the query is right");
            rows.iter().map(|row| row.get(0)).collect()
        })
        .await;
        rows.iter().map(|row| serde_json::from_str(row).expect("it is JSON")).collect()
    }

    /// One number.
    pub(super) async fn number(&self, sql: &str) -> u64 {
        let rows = self.rows(&format!("select ({sql}) as number")).await;
        rows[0]["number"].as_u64().unwrap_or_default()
    }

    /// Waits until nothing is queued but what is dead.
    pub(super) async fn drained(&self) {
        wait::until("the queue is empty", async || {
            let mut commands = redis::pipe();
            commands.cmd("LLEN").arg("db-writes:wait").cmd("ZCARD").arg("db-writes:lease");
            commands.cmd("ZCARD").arg("db-writes:delayed");
            let left: Vec<u64> = commands.query(&mut self.redis.connect()).expect("it answers");
            left.iter().sum::<u64>() == 0
        })
        .await;
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Its client may be dropped on threads only.
        let postgres = Arc::clone(&self.postgres);
        let _ = std::thread::spawn(move || postgres.lock().stop()).join();
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("it ends well")
}
