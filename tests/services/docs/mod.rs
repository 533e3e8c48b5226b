//! The commands of README, docs/run and docs/use run against real servers on free ports, and print what the pages show.

mod shell;
mod upgrade;

use std::time::{Duration, Instant};

use serde_json::Value;

use test_support::http::Connection;
use test_support::pages::{self, Block, blocks};
use test_support::postgres::Postgres;
use test_support::program::Program;
use test_support::redis::{Redis, free_port};
use test_support::wait;

use shell::Shell;

/// Pages whose commands are run.
fn is_held(page: &str) -> bool {
    page == "README.md" || page.starts_with("docs/run/") || page.starts_with("docs/use/")
}

/// Commands that a test below runs in a way of its own: page, how the block begins.
const BY_ITSELF: &[(&str, &str)] = &[
    ("README.md", "id="),
    ("README.md", "curl -s"),
    ("docs/run/audit.md", "synckairos queue stats"),
    ("docs/run/install.md", "cargo run --release -- --data-dir ./data"),
    ("docs/run/many-instances.md", "redis-server --port 6379"),
    ("docs/run/many-instances.md", "sudo -u postgres psql"),
    ("docs/run/many-instances.md", "psql postgres"),
    ("docs/run/redis.md", "redis-cli ACL SETUSER"),
    ("docs/run/runbook.md", "synckairos queue stats"),
    ("docs/run/upgrade.md", "redis-cli llen"),
    ("docs/run/upgrade.md", "pg_dump"),
    ("docs/run/upgrade.md", "dropdb"),
    ("docs/run/upgrade.md", "synckairos backup"),
    ("docs/run/upgrade.md", "mv ./data"),
];

/// Commands that cannot be run by a test: page, how the block begins, why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --release ", "the program is built already, and tests/run is what runs this test"),
    (
        "docs/run/install.md",
        "cargo build --locked --release",
        "it installs into the system; packaging::unit holds the unit",
    ),
    ("docs/run/install.md", "docker build", "it needs Docker; packaging::image and packaging::filesets hold the image"),
];

/// What is printed but for its figures.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let lines: Vec<_> = text.trim().lines().map(str::trim_end).collect();
    for next in lines.join("\n").chars() {
        match next {
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            _ => shape.push(next),
        }
    }
    shape
}

fn typed() -> Vec<Block> {
    let pages = pages::all().into_iter().filter(|page| is_held(page));
    pages.flat_map(|page| blocks(&page)).filter(Block::is_typed).collect()
}

/// The block of a page that begins so.
fn find(page: &str, start: &str) -> String {
    typed().into_iter().find(|block| block.is(page, start)).expect("it is there").text
}

/// Commands without a row above need nothing but a server at the usual port.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_block_of_commands_runs() {
    let all = typed();
    for (page, start) in BY_ITSELF.iter().copied().chain(ELSEWHERE.iter().map(|(page, start, _)| (*page, *start))) {
        assert!(all.iter().any(|block| block.is(page, start)), "no block of {page} begins with {start:?}");
    }
    let is_known = |block: &Block| {
        BY_ITSELF.iter().any(|(page, start)| block.is(page, start))
            || ELSEWHERE.iter().any(|(page, start, _)| block.is(page, start))
    };
    for block in all.into_iter().filter(|block| !is_known(block)) {
        println!("{}:{}", block.page, block.line);
        let program = Program::start(&[]);
        let here = format!("127.0.0.1:{}", program.address.port());
        let shell = Shell::new(&[("localhost:3000", &here), ("127.0.0.1:3000", &here)]);
        let ran = tokio::task::spawn_blocking(move || shell.run(&block.text)).await;
        ran.expect("it runs; a command that needs something else has a row in tests/docs");
    }
}

/// README's session from its first command to its last, with somebody who watches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_session_prints_what_the_page_says() {
    let program = Program::start(&[]);
    let here = format!("127.0.0.1:{}", program.address.port());
    let told = tokio::task::spawn_blocking(move || {
        let shell = Shell::new(&[("localhost:3000", &here)]);
        let all = blocks("README.md");
        let after = |at: usize| all[at + 1..].first().filter(|block| block.language.is_some());
        let is_watching = |block: &Block| block.text.contains("Upgrade: websocket");
        let mut names = String::new();
        let mut watching = None;
        let mut count = 0;
        for (at, block) in all.iter().enumerate() {
            if is_watching(block) || !BY_ITSELF.iter().any(|(page, start)| block.is(page, start)) {
                continue;
            }
            if !block.text.contains("curl") {
                names += &block.text;
                continue;
            }
            let script = format!("{names}{}", block.text);
            let expected = shape(&after(at).unwrap_or_else(|| panic!("nothing is printed: {block:?}")).text);
            // What is read there is what has come of it a while later.
            let start = Instant::now();
            let mut printed = shell.run(&script);
            while shape(&printed) != expected && script.contains("session_completed_at") {
                assert!(start.elapsed() < Duration::from_secs(20), "{printed}\n{expected}");
                printed = shell.run(&script);
            }
            assert_eq!(shape(&printed), expected, "README.md:{}", block.line);
            if watching.is_none() {
                let (at, block) = all.iter().enumerate().find(|(_, block)| is_watching(block)).expect("there is one");
                let expected = after(at).expect("it prints").text.clone();
                // In a terminal that knows nothing of the first one.
                watching = Some((shell.start(&block.text), expected));
                watched(&here);
            }
            count += 1;
        }
        assert_eq!(count, 5, "the page has so many commands");
        let (watching, expected) = watching.expect("it was started");
        assert_eq!(shape(&watching.output()), shape(&expected));
    });
    told.await.expect("the page is right");
}

/// Waits until somebody is connected by WebSocket.
fn watched(address: &str) {
    let shell = Shell::new(&[]);
    wait::blocking("somebody watches", || {
        shell.run(&format!("curl -s {address}/metrics")).contains("\nsynckairos_websocket_connections 1")
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_keeps_sessions_as_the_page_says() {
    let port = free_port();
    let shell = Shell::new(&[]).with(&[("PORT", &port.to_string())]);
    let block = typed().into_iter().find(|block| block.is("docs/run/install.md", "cargo run")).expect("it is there");
    let _running = shell.start(&block.text);
    let address = ([127, 0, 0, 1], port).into();
    wait::until("it serves", async || Connection::try_open(address).await.is_some()).await;
    assert_eq!(Connection::open(address).await.ask("GET", "/ready", "").await.status, 200);
}

/// A PostgreSQL to whose owner alone it is open without a password, as on Debian and macOS.
fn installed() -> Postgres {
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    Postgres::start_with(&["fsync=off"], &[("pg_hba.conf", rules)])
}

/// For whoever has just installed it.
fn as_owner(postgres: &Postgres) -> Vec<(String, String)> {
    let told = [("PGHOST", "127.0.0.1"), ("PGUSER", "postgres"), ("PGPORT", &postgres.port().to_string())];
    told.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_instances_serve_the_same_as_the_page_says() {
    let find = |start: &str| find("docs/run/many-instances.md", start);
    for prepare in ["sudo -u postgres psql", "psql postgres"] {
        let postgres = tokio::task::spawn_blocking(installed).await.expect("it starts");
        let ports = [free_port(), free_port(), free_port()];
        let [redis, first, second] = ports.map(|port| port.to_string());
        let database = format!("@127.0.0.1:{}/audit", postgres.port());
        let shell =
            Shell::new(&[("6379", &redis), ("3001", &first), ("3002", &second), ("@127.0.0.1/audit", &database)]);
        let owner = as_owner(&postgres);
        let owner: Vec<_> = owner.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (prepared, started) = (find(prepare), find("redis-server"));
        let as_owner = Shell::new(&[]).with(&owner);
        tokio::task::spawn_blocking(move || as_owner.run(&prepared)).await.expect("it is prepared");
        let _running = shell.start(&started);
        let addresses = [ports[1], ports[2]].map(|port| ([127, 0, 0, 1], port).into());
        let session = test_support::sessions::two_players(&test_support::sessions::id(1), 60_000);
        wait::within(Duration::from_secs(40), "one creates", async || match Connection::try_open(addresses[0]).await {
            Some(mut client) => {
                let answer = client.ask("POST", "/v1/sessions", &session.to_string()).await;
                [201, 409].contains(&answer.status)
            }
            None => false,
        })
        .await;
        wait::until("the other reads, and nothing is missing", async || {
            let Some(mut client) = Connection::try_open(addresses[1]).await else { return false };
            let path = format!("/v1/sessions/{}", test_support::sessions::id(1));
            let ready = client.ask("GET", "/ready", "").await;
            let history = client.ask("GET", &format!("{path}/events"), "").await;
            let is_written =
                history.status == 200 && history.json()["data"].as_array().is_some_and(|all| !all.is_empty());
            ready.json()["status"] == "ready" && is_written && client.ask("GET", &path, "").await.status == 200
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_asked_as_the_page_says() {
    let redis = Redis::start();
    let commands = ["docs/run/audit.md", "docs/run/runbook.md"].map(|page| find(page, "synckairos queue")).concat();
    let shell = Shell::new(&[]).with(&[("REDIS_URL", &redis.url())]);
    let told = tokio::task::spawn_blocking(move || {
        let mut count = 0;
        for line in commands.lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            let line = line.replace(" [event id…]", "");
            let given = line.replace("<event id>", "00000000-0000-0000-0000-000000000000");
            let output = shell.output(&given);
            // There is no job to take away.
            let code = if given == line { 0 } else { 1 };
            assert_eq!(output.status.code(), Some(code), "{given}: {}", String::from_utf8_lossy(&output.stderr));
            count += 1;
        }
        assert_eq!(count, 4 + 3);
    });
    told.await.expect("the page is right");
}

/// With a real database that has a session in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audits_queries_run() {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.expect("it starts");
    let postgres = std::sync::Arc::new(postgres);
    let redis = Redis::start();
    let url = postgres.url("postgres");
    let program = Program::start(&[("REDIS_URL", &redis.url()), ("DATABASE_URL", &url)]);
    let mut client = Connection::open(program.address).await;
    let id = "550e8400-e29b-41d4-a716-446655440000";
    let session = test_support::sessions::two_players(id, 60_000).to_string();
    wait::until("it serves", async || client.ask("POST", "/v1/sessions", &session).await.status == 201).await;
    client.post(id, "start", &Value::Null).await;
    wait::until("all is written", async || {
        let history = client.ask("GET", &format!("/v1/sessions/{id}/events"), "").await;
        history.status == 200 && history.json()["data"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;
    let ran = tokio::task::spawn_blocking(move || {
        let mut connection = postgres.connect("postgres");
        let queries = pages::all().into_iter().filter(|page| is_held(page)).flat_map(|page| blocks(&page));
        let queries = queries.filter(|block| block.language.is_none() && block.text.starts_with("select "));
        let mut count = 0;
        for query in queries {
            let rows = connection.simple_query(&query.text).unwrap_or_else(|error| panic!("{query:?}: {error:?}"));
            assert!(rows.len() > 1, "{}:{} finds nothing", query.page, query.line);
            count += 1;
        }
        assert!(count >= 3, "only {count} were found");
    });
    ran.await.expect("the page is right");
}

#[test]
fn a_user_of_redis_is_made_as_the_page_says() {
    let redis = Redis::start();
    let block = typed().into_iter().find(|block| block.is("docs/run/redis.md", "redis-cli ACL")).expect("it is there");
    let with_port = format!("redis-cli -p {}", redis.port());
    let printed = Shell::new(&[("redis-cli", &with_port)]).run(&block.text);
    assert_eq!(printed.trim(), "OK");
    let user: Vec<redis::Value> =
        redis::cmd("ACL").arg("GETUSER").arg("synckairos").query(&mut redis.connect()).expect("it is there");
    assert!(!user.is_empty());
    let login = redis::Client::open(redis.url_as("synckairos:secret@")).expect("a URL");
    let mut connection = login.get_connection().expect("it is let in");
    redis::cmd("SET").arg("sk:x").arg(1).exec(&mut connection).expect("that is its key");
    redis::cmd("SET").arg("x").arg(1).exec(&mut connection).expect_err("that is not");
}

#[test]
fn urls_of_redis_are_as_the_page_says() {
    let page = blocks("docs/run/redis.md");
    let urls = page.iter().find(|block| block.text.starts_with("redis://")).expect("it is there");
    let mut count = 0;
    for url in urls.text.split_whitespace() {
        let server = synckairos::redis::RedisServer::parse(url, &Default::default(), Duration::ZERO);
        assert!(server.is_ok(), "{url}: {server:?}");
        count += 1;
    }
    assert!(count >= 6, "only {count} were found");
}
