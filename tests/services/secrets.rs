//! Passwords: where they may be given, that they are never printed, and that they rotate without a restart.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::postgres::Postgres;
use test_support::program::{Program, command, output};
use test_support::redis::{Redis, Setup};
use test_support::sessions::{id, two_players};
use test_support::wait;

const HOUR: u64 = 3_600_000;

/// A directory with a secret in a file.
struct Mounted {
    directory: Directory,
}

impl Mounted {
    fn new() -> Self {
        let directory = Directory::new();
        fs::create_dir_all(directory.path()).expect("it can be made");
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// As it is mounted: a new file takes the old one's place.
    fn write(&self, name: &str, text: &str) -> String {
        let new = self.path("new");
        fs::write(&new, format!("{text}\n")).expect("it can be written");
        fs::rename(&new, self.path(name)).expect("it can be renamed");
        self.path(name).to_str().expect("it is text").to_owned()
    }
}

async fn is_ready(client: &mut Connection) -> bool {
    client.ask("GET", "/ready", "").await.status == 200
}

/// Gives the user a password and takes all others, then everybody's connection: whoever comes back needs the new one.
fn rotate(redis: &Redis, password: &str) {
    let mut commands = redis::pipe();
    commands.cmd("ACL").arg("SETUSER").arg("app").arg("resetpass").arg(format!(">{password}")).ignore();
    commands.cmd("CLIENT").arg("KILL").arg("USER").arg("app").ignore();
    commands.exec(&mut redis.connect()).expect("it answers");
}

fn acl(password: &str) -> Redis {
    Setup::forgetful().with_user(&format!("app on >{password} ~* &* +@all")).start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_of_redis_needs_no_restart() {
    for is_whole_url in [false, true] {
        let (mounted, redis) = (Mounted::new(), acl("first"));
        let text =
            |password: &str| if is_whole_url { redis.url_as(&format!("app:{password}@")) } else { password.to_owned() };
        let file = mounted.write("secret", &text("first"));
        let url = redis.url_as("app@");
        let settings = match is_whole_url {
            true => vec![("REDIS_URL_FILE", &*file), ("AUDIT", "off")],
            false => vec![("REDIS_URL", &*url), ("REDIS_PASSWORD_FILE", &file), ("AUDIT", "off")],
        };
        let mut program = Program::start(&settings);
        let mut client = Connection::open(program.address).await;
        wait::until("it is ready", async || is_ready(&mut client).await).await;
        client.create(&two_players(&id(1), HOUR)).await;
        for password in ["second", "th/ird"] {
            rotate(&redis, password);
            wait::until("it is let in no more", async || !is_ready(&mut client).await).await;
            mounted.write("secret", &text(&password.replace('/', if is_whole_url { "%2F" } else { "/" })));
            wait::until("it is let in again", async || is_ready(&mut client).await).await;
            let read = client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await;
            assert_eq!(read.status, 200, "{read:?}");
        }
        program.signal("TERM");
        assert_eq!(program.ended().await, Some(0));
        let log = program.log_whole().concat();
        for password in ["first", "second", "th/ird", "th%2Fird"] {
            assert!(!log.contains(password), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_of_the_database_needs_no_restart() {
    let (mounted, redis) = (Mounted::new(), Redis::start());
    let server = tokio::task::spawn_blocking(|| {
        let rules = "host all postgres 127.0.0.1/32 trust\nhost all app 127.0.0.1/32 scram-sha-256\n";
        let server = Postgres::start_with(&["fsync=off"], &[("pg_hba.conf", rules)]);
        let mut admin = server.connect("postgres");
        admin.batch_execute("create role app login password 'first'").expect("it can be made");
        admin.batch_execute("create database audit owner app").expect("it can be made");
        server
    });
    let server = Arc::new(server.await.expect("it does not panic"));
    let file = mounted.write("secret", "first");
    let (redis_url, url) = (redis.url(), server.url("audit").replace("postgres@", "app@"));
    let settings = [("REDIS_URL", &*redis_url), ("DATABASE_URL", &*url), ("DATABASE_PASSWORD_FILE", &*file)];
    let program = Program::start(&settings);
    let mut client = Connection::open(program.address).await;
    let session = two_players(&id(1), HOUR).to_string();
    wait::until("it serves", async || client.ask("POST", "/v1/sessions", &session).await.status == 201).await;
    written(&server, 1).await;
    for (password, action, count) in [("second", "start", 2), ("third", "pause", 3)] {
        let rotated = Arc::clone(&server);
        let rotated = tokio::task::spawn_blocking(move || {
            let mut admin = rotated.connect("postgres");
            admin.batch_execute(&format!("alter role app password '{password}'")).expect("it can be changed");
            let all = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'";
            admin.batch_execute(all).expect("they can be closed");
        });
        rotated.await.expect("it does not panic");
        mounted.write("secret", password);
        client.post(&id(1), action, &Value::Null).await;
        written(&server, count).await;
    }
}

/// Waits until so many changes are in the database.
async fn written(server: &Arc<Postgres>, count: i64) {
    wait::until("all is written", async || {
        let server = Arc::clone(server);
        let found = tokio::task::spawn_blocking(move || {
            let rows = server.connect("audit").query_one("select count(*) from sync_events", &[]);
            rows.map_or(0, |row| row.get::<_, i64>(0))
        });
        found.await.expect("it does not panic") == count
    })
    .await;
}

/// Whatever was typed wrong, on the command line or in the environment.
#[test]
fn a_password_is_never_printed() {
    /// Arguments, the environment, and what it exits with.
    type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)], i32);
    let cases: &[Case<'_>] = &[
        (&["redis://:hunter2@localhost"], &[], 2),
        (&["--redis-ur", "redis://:hunter2@localhost"], &[], 2),
        (&["--redis-ur=redis://:hunter2@localhost"], &[], 2),
        (&["queue", "stats", "postgres://u:hunter2@localhost/x"], &[], 2),
        (&["--redis-password=hunter2"], &[], 2),
        (&["--database-password", "hunter2"], &[], 2),
        (&[], &[("REDIS_URL", "redis://:hun?hunter2@localhost")], 2),
        (&[], &[("REDIS_URL", "redis://:hunter2@localhost:port")], 2),
        (&[], &[("REDIS_URL", "redis://:hunter2@localhost"), ("DATABASE_URL", "postgres://u:x?hunter2@h/a")], 2),
        (&["queue", "stats"], &[("REDIS_URL", "redis://:hun/hunter2@localhost")], 2),
        (&["migrate"], &[("DATABASE_URL", "postgres://u:hun?hunter2@localhost/x")], 2),
        (&["migrate", "--database-url", "postgres://u:hunter2@127.0.0.1:1/x"], &[], 1),
        (&["queue", "stats", "--redis-url", "redis://:hunter2@127.0.0.1:1"], &[], 1),
    ];
    for (arguments, environment, code) in cases {
        let output = output(command().args(*arguments).envs(environment.iter().copied()));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(*code), "{arguments:?} {environment:?}: {said}");
        assert!(!said.is_empty() && !said.contains("hunter2"), "{arguments:?} {environment:?}: {said}");
    }
}

/// Everybody on a machine sees what a program was told there.
#[tokio::test]
async fn a_password_among_the_arguments_is_warned_of() {
    let redis = Setup::forgetful().with_password("hunter2").start();
    let url = redis.url();
    for (is_option, is_warned) in [(true, true), (false, false)] {
        let mut command = command();
        command.env("PORT", "0").env("AUDIT", "off");
        match is_option {
            true => command.args(["--redis-url", &url]),
            false => command.env("REDIS_URL", &url),
        };
        let mut program = Program::start_command(&mut command);
        program.signal("TERM");
        assert_eq!(program.ended().await, Some(0));
        let log = program.log_whole().concat();
        assert_eq!(log.contains("among the arguments"), is_warned, "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn commands_ask_for_what_they_use() {
    let redis = Redis::start();
    let stats = output(command().args(["queue", "stats", "--redis-url", &redis.url()]));
    assert!(stats.status.success(), "{}", String::from_utf8_lossy(&stats.stderr));
    // What is wrong with all else does not matter.
    let mut told = command();
    told.args(["queue", "stats"]).env("REDIS_URL", redis.url()).env("PORT", "nonsense").env("DATABASE_URL", "nonsense");
    assert!(output(&mut told).status.success());
    for (arguments, name) in [(&["queue", "stats"][..], "REDIS_URL: missing"), (&["migrate"], "DATABASE_URL: missing")]
    {
        let output = output(command().args(arguments));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(&format!("synckairos: {name}")), "{said}");
    }
}

#[tokio::test]
async fn settings_may_stand_in_files() {
    let mounted = Mounted::new();
    let file = mounted.write("max", " 1 ");
    let mut one = command();
    one.env("PORT", " 0 ").env("MAX_SESSIONS_FILE", &file);
    let program = Program::start_command(&mut one);
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    let second = client.ask("POST", "/v1/sessions", &two_players(&id(2), HOUR).to_string()).await;
    assert_eq!(second.status, 503, "{second:?}");

    let both = output(command().env("PORT", "0").env("PORT_FILE", &file));
    assert_eq!(both.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&both.stderr).starts_with("synckairos: PORT_FILE: "));
    // An option wins, also over a file that is not there.
    let mut option = command();
    option.arg("--port=0").env("PORT_FILE", "/nowhere/at-all");
    drop(Program::start_command(&mut option));
}
