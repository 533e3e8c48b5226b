//! A misconfigured Redis: the reason in `/ready` and in one line of the log, an exit code where waiting does not help, and no
//! storm of reconnects.

use std::time::{Duration, Instant};

use serde_json::Value;

use test_support::certificates::Authority;
use test_support::cluster::Cluster;
use test_support::http::Connection;
use test_support::program::{Program, command, output};
use test_support::proxy::Proxy;
use test_support::redis::{Redis, Setup, free_port};
use test_support::sessions::{id, two_players};
use test_support::wait;

use super::ready;

/// How long an instance is watched while clients press it.
const WATCHED: Duration = Duration::from_secs(1);
/// Connections that it may make meanwhile: one in half a second but for the first, and as many again for good measure.
const CONNECTIONS_MAX: u64 = 10;

/// An instance on its way to a Redis that it cannot use.
struct Misled {
    instance: Program,
    reason: String,
    _way: Proxy,
}

impl Misled {
    /// One that waits, and says why, however much clients press it.
    async fn start(redis: &Redis, url: &str, settings: &[(&str, &str)], reason: &str) -> Self {
        let way = Proxy::start(redis.port()).await;
        let url = url.replace(&redis.port().to_string(), &way.port().to_string());
        let settings = [&[("REDIS_URL", url.as_str())], settings].concat();
        let instance = waiting(&settings, reason).await;
        let (since, before, mut asked) = (Instant::now(), way.connections(), 0);
        let mut client = Connection::open(instance.address).await;
        wait::until("clients have pressed it", async || {
            let created = client.ask("POST", "/v1/sessions", &two_players(&id(1), 60_000).to_string()).await;
            let read = client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await;
            for answer in [created, read] {
                assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"), "{answer:?}");
                asked += 1;
            }
            since.elapsed() >= WATCHED
        })
        .await;
        let made = way.connections() - before;
        println!("{reason}: {made} connections in {WATCHED:?} for {asked} requests");
        assert!((1..=CONNECTIONS_MAX).contains(&made), "{made} connections in {WATCHED:?} for {asked} requests");
        Self { instance, reason: reason.to_owned(), _way: way }
    }

    /// Waits until it has become ready.
    async fn recovers(&self) {
        ready(self.instance.address).await;
        let mut client = Connection::open(self.instance.address).await;
        client.create(&two_players(&id(1), 60_000)).await;
    }

    async fn has_told(self) {
        has_told(self.instance, &self.reason).await;
    }
}

/// An instance that is not ready, and says why.
async fn waiting(settings: &[(&str, &str)], reason: &str) -> Program {
    let instance = Program::start(&[&[("AUDIT", "off"), ("LOG_LEVEL", "info")], settings].concat());
    let mut client = Connection::open(instance.address).await;
    let mut told = String::new();
    let is_told = async || {
        let answer = client.ask("GET", "/ready", "").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        told = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        told.contains(reason)
    };
    wait::until(reason, is_told).await;
    instance
}

/// Ends an instance, whose log must tell the reason in one line, and never a password.
async fn has_told(mut instance: Program, reason: &str) {
    instance.child.kill().expect("it runs");
    instance.ended().await;
    let log = instance.log_whole();
    let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let tells = |line: &&Value| line["why"].as_str().is_some_and(|why| why.contains(reason));
    let [line] = lines.iter().filter(tells).collect::<Vec<_>>()[..] else { panic!("{reason}: {log:#?}") };
    let told = (line["level"].as_str().unwrap_or_default(), line["message"].as_str().unwrap_or_default());
    assert!(matches!(told, ("WARN", "waiting for Redis") | ("ERROR", "Redis cannot be used as it is")), "{line}");
    assert!(log.len() <= 4, "nothing else is told again and again: {log:#?}");
    assert!(!log.concat().contains("hunter2"), "{log:#?}");
}

async fn is_told(redis: &Redis, url: &str, settings: &[(&str, &str)], reason: &str) {
    Misled::start(redis, url, settings, reason).await.has_told().await;
}

/// An instance that ends, since waiting does not help.
async fn ends(settings: &[(&str, &str)], reason: &str) {
    let settings = [&[("AUDIT", "off"), ("PORT", "0")], settings].concat();
    let mut instance = Program::start_command(command().envs(settings));
    assert_eq!(instance.ended().await, Some(1), "{reason}");
    let log = instance.log_whole();
    // The supervisor says why the server ends.
    let told = log.iter().filter(|line| line.contains(reason) && !line.contains("synckairos::supervision"));
    assert_eq!(told.count(), 1, "{reason}: {log:#?}");
}

#[tokio::test]
async fn a_wrong_password() {
    let redis = Setup::forgetful().with_password("secret").with_user("ann on >secret ~* &* +@all").start();
    for (login, reason) in [
        (":hunter2@", "Redis refused: WRONGPASS invalid username-password pair or user is disabled."),
        ("ann:hunter2@", "Redis refused: WRONGPASS invalid username-password pair or user is disabled."),
        ("bob:hunter2@", "Redis refused: WRONGPASS invalid username-password pair or user is disabled."),
        ("", "Redis refused: NOAUTH Authentication required."),
    ] {
        is_told(&redis, &redis.url_as(login), &[], reason).await;
    }
    let open = Redis::start();
    let reason = "Redis refused: ERR AUTH <password> called without any password configured";
    is_told(&open, &open.url_as(":hunter2@"), &[], reason).await;
}

/// However many partitions there are, and although the audit comes in by itself.
#[tokio::test]
async fn a_wrong_password_for_a_cluster() {
    let started = tokio::task::spawn_blocking(|| {
        Cluster::start_with(1, 0, &["--save", "", "--user", "ann", "on", ">secret", "~*", "&*", "+@all"])
    });
    let cluster = started.await.expect("it starts");
    let url = cluster.url().replace("redis+cluster://", "redis+cluster://ann:hunter2@");
    let settings = [("REDIS_URL", url.as_str()), ("DATABASE_URL", "postgres://127.0.0.1:1/none"), ("AUDIT", "on")];
    let mut instance = waiting(&settings, "WRONGPASS").await;
    let made = || -> u64 {
        let info: String = redis::cmd("INFO").arg("stats").query(&mut cluster.nodes[0].connect()).expect("it answers");
        let made = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        made.expect("it counts them").parse().expect("a number")
    };
    let (since, before) = (Instant::now(), made());
    let mut client = Connection::open(instance.address).await;
    wait::until("clients have pressed it", async || {
        client.ask("POST", "/v1/sessions", &two_players(&id(1), 60_000).to_string()).await;
        since.elapsed() >= WATCHED
    })
    .await;
    let made = made() - before;
    println!("{made} connections in {WATCHED:?}");
    assert!((1..=CONNECTIONS_MAX).contains(&made), "{made} connections in {WATCHED:?}");
    instance.child.kill().expect("it runs");
    instance.ended().await;
    let log = instance.log_whole();
    let told: Vec<_> = log.iter().filter(|line| line.contains("WRONGPASS")).collect();
    assert_eq!(told.len(), 2, "one for the sessions, one for the audit: {log:#?}");
}

#[tokio::test]
async fn a_password_that_becomes_the_right_one() {
    let redis = Setup::forgetful().with_user("ann on >secret ~* &* +@all").start();
    let misled = Misled::start(&redis, &redis.url_as("ann:hunter2@"), &[], "WRONGPASS").await;
    redis::cmd("ACL").arg("SETUSER").arg("ann").arg(">hunter2").exec(&mut redis.connect()).expect("it answers");
    misled.recovers().await;
    misled.has_told().await;
}

#[tokio::test]
async fn an_authority_that_is_not_the_servers() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let redis = Setup::forgetful().encrypted("localhost", &authority).start();
    let reason = "TLS: invalid peer certificate: UnknownIssuer";
    for belief in [("REDIS_CA_CERT", stranger.file()), ("SSL_CERT_FILE", stranger.file())] {
        is_told(&redis, &redis.url(), &[(belief.0, &belief.1)], reason).await;
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_else() {
    let authority = Authority::new();
    let redis = Setup::forgetful().encrypted("redis.example.org", &authority).start();
    let url = redis.url().replace("redis.example.org", "localhost");
    let reason = r#"TLS: invalid peer certificate: certificate not valid for name "localhost""#;
    is_told(&redis, &url, &[("REDIS_CA_CERT", &authority.file())], reason).await;
}

#[tokio::test]
async fn no_certificate_for_a_server_that_asks_for_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let redis = Setup::forgetful().encrypted("localhost", &authority).with_certified_clients().start();
    let ca = authority.file();
    let settings = [("REDIS_CA_CERT", ca.as_str())];
    is_told(&redis, &redis.url(), &settings, "received fatal alert: CertificateRequired").await;
    let own = stranger.certify("synckairos");
    let shown = [("REDIS_CLIENT_CERT", own.pem_file.as_str()), ("REDIS_CLIENT_KEY", own.key_file.as_str())];
    is_told(&redis, &redis.url(), &[&settings[..], &shown].concat(), "received fatal alert: UnknownCA").await;
}

#[tokio::test]
async fn encrypted_where_the_server_is_not_and_the_other_way_round() {
    let authority = Authority::new();
    let plain = Redis::start();
    let url = plain.url().replace("redis://", "rediss://");
    let reason = "TLS: no answer in time; perhaps it speaks none";
    is_told(&plain, &url, &[("REDIS_CA_CERT", &authority.file())], reason).await;
    let encrypted = Setup::forgetful().encrypted("localhost", &authority).start();
    let url = encrypted.url().replace("rediss://", "redis://");
    is_told(&encrypted, &url, &[], "perhaps it speaks TLS only: rediss://").await;
}

#[tokio::test]
async fn nobody_at_the_address() {
    for (url, reason) in [
        (format!("redis://127.0.0.1:{}", free_port()), "Redis cannot be reached: 127.0.0.1:"),
        ("unix:///nowhere/socket".to_owned(), "/nowhere/socket: No such file"),
        ("redis://nowhere.invalid".to_owned(), "Redis cannot be reached: nowhere.invalid:6379: "),
    ] {
        has_told(waiting(&[("REDIS_URL", &url)], reason).await, reason).await;
    }
}

#[tokio::test]
async fn a_replica() {
    let master = Redis::start();
    let replica = Setup::forgetful().options(&["--replicaof", "127.0.0.1", &master.port().to_string()]).start();
    let reason = format!("is a replica of 127.0.0.1:{}", master.port());
    let misled = Misled::start(&replica, &replica.url(), &[], &reason).await;
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut replica.connect()).expect("it answers");
    misled.recovers().await;
    misled.has_told().await;
}

#[tokio::test]
async fn a_database_that_is_not_there() {
    let redis = Redis::start();
    is_told(&redis, &format!("{}/99", redis.url()), &[], "DB index is out of range").await;
}

#[tokio::test]
async fn a_policy_that_evicts() {
    let redis = Setup::forgetful().options(&["--maxmemory-policy", "allkeys-lru"]).start();
    let reason = "Redis has maxmemory-policy allkeys-lru; it must be noeviction";
    is_told(&redis, &redis.url(), &[], reason).await;
}

/// What serves reads is ready; each change that is refused is a reason to have another look, and not at once.
#[tokio::test]
async fn a_redis_that_is_full() {
    let redis = Redis::start();
    let way = Proxy::start(redis.port()).await;
    let instance = Program::start(&[("REDIS_URL", &way.url()), ("AUDIT", "off"), ("RATE_LIMIT_SWITCH", "0")]);
    ready(instance.address).await;
    let mut client = Connection::open(instance.address).await;
    client.create(&two_players(&id(1), 3_600_000)).await;
    let maxmemory = |bytes: &str| {
        let mut config = redis::cmd("CONFIG");
        config.arg("SET").arg("maxmemory").arg(bytes).exec(&mut redis.connect()).expect("it answers");
    };
    maxmemory("1");
    let (since, before) = (Instant::now(), way.connections());
    wait::until("clients have pressed it", async || {
        let answer = client.ask("POST", &format!("/v1/sessions/{}/start", id(1)), "").await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"), "{answer:?}");
        assert_eq!(client.ask("GET", &format!("/v1/sessions/{}", id(1)), "").await.status, 200);
        assert_eq!(client.ask("GET", "/ready", "").await.status, 200);
        since.elapsed() >= WATCHED
    })
    .await;
    let made = way.connections() - before;
    println!("{made} connections in {WATCHED:?}");
    assert!(made <= 3 * CONNECTIONS_MAX, "{made} connections in {WATCHED:?}");
    maxmemory("0");
    wait::until("changes are made again", async || {
        client.ask("POST", &format!("/v1/sessions/{}/start", id(1)), "").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_cluster_where_one_server_is_meant_and_the_other_way_round() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(1, 0)).await.expect("it starts");
    let one = cluster.url().replace("redis+cluster://", "redis://");
    ends(&[("REDIS_URL", &one)], "is one of a Cluster: REDIS_URL must begin with redis+cluster://").await;
    let redis = Redis::start();
    let many = redis.url().replace("redis://", "redis+cluster://");
    ends(&[("REDIS_URL", &many)], "is not one of a Cluster, and REDIS_URL says redis+cluster://").await;
    assert_eq!(redis.len(), 0, "nothing was written");
}

/// Without a server that keeps it from listening, the log says what acknowledged changes are worth.
#[tokio::test]
async fn a_redis_without_append_only_file_is_warned_of_once() {
    let caution = "Redis has appendonly no: acknowledged changes are lost when it restarts";
    for (options, count) in [(["--appendonly", "no"], 1), (["--appendonly", "yes"], 0)] {
        let redis = Redis::start_with(&options);
        let mut instance = super::program(&redis.url()).await;
        instance.child.kill().expect("it runs");
        instance.ended().await;
        let log = instance.log_whole();
        assert_eq!(log.iter().filter(|line| line.contains(caution)).count(), count, "{options:?}: {log:#?}");
    }
}

/// People who look into the queue are told the same.
#[tokio::test]
async fn the_queue_of_a_redis_that_refuses_the_login() {
    let redis = Setup::forgetful().with_password("secret").start();
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(1, 0)).await.expect("it starts");
    let user = ["SETUSER", "ann", "on", ">hunter2", "~*", "&*", "+@all", "-zcard"];
    redis::cmd("ACL").arg(&user).exec(&mut redis.connect()).expect("it answers");
    for (url, reason) in [
        (redis.url_as(":hunter2@"), "WRONGPASS"),
        (redis.url_as("ann:hunter2@"), "'zcard' command"),
        (cluster.url().replace("redis+cluster://", "redis://"), "is one of a Cluster"),
        (format!("redis://127.0.0.1:{}", free_port()), "cannot be reached"),
    ] {
        for task in [&["queue", "stats"][..], &["queue", "dead"], &["queue", "redrive"]] {
            let output = output(command().args(task).env("REDIS_URL", &url).env("AUDIT", "off"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if task != ["queue", "stats"] && reason.contains("zcard") {
                continue;
            }
            assert_eq!(output.status.code(), Some(1), "{task:?}: {said}");
            assert!(
                said.contains(reason) && said.lines().count() == 1 && !said.contains("hunter2"),
                "{task:?}: {said}"
            );
        }
    }
}

/// Options and environment tell the same to those who look into the queue of an encrypted Redis.
#[tokio::test]
async fn the_queue_of_an_encrypted_redis() {
    let (authority, client) = (Authority::new(), Authority::new());
    let own = client.certify("operator");
    let redis = Setup::forgetful().encrypted("localhost", &authority).with_certified_clients();
    let redis = redis.options(&["--tls-ca-cert-file", &client.file()]).start();
    let mut by_option = command();
    by_option.args(["queue", "stats", "--redis-url", &redis.url(), "--redis-ca-cert", &authority.file()]);
    by_option.args(["--redis-client-cert", &own.pem_file, "--redis-client-key", &own.key_file]).env("AUDIT", "off");
    let output = output(&mut by_option);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!((output.status.code(), said.contains("waiting 0")), (Some(0), true), "{said}");
}

/// What is wrong with settings is said at once, each thing once.
#[test]
fn certificates_that_are_of_no_use() {
    let authority = Authority::new();
    let [one, other] = [authority.certify("one"), authority.certify("other")];
    let (encrypted, ca) = (("REDIS_URL", "rediss://u:hunter2@localhost"), authority.file());
    for (settings, expected) in [
        (vec![encrypted, ("REDIS_CA_CERT", "/nowhere")], "REDIS_CA_CERT: /nowhere: No such file"),
        (vec![encrypted, ("REDIS_CA_CERT", &one.key_file)], "there is no certificate in it"),
        (vec![encrypted, ("REDIS_CLIENT_CERT", &one.pem_file)], "REDIS_CLIENT_KEY: "),
        (
            vec![encrypted, ("REDIS_CLIENT_CERT", &one.pem_file), ("REDIS_CLIENT_KEY", &other.key_file)],
            "keys may not be consistent",
        ),
        (vec![("REDIS_URL", "redis://u:hunter2@localhost"), ("REDIS_CA_CERT", &ca)], "without TLS: rediss://"),
    ] {
        let output = output(command().env("AUDIT", "off").envs(settings.iter().copied()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!((output.status.code(), lines.len()), (Some(2), 2), "{settings:?}: {said}");
        assert!(lines[0].contains(expected) && !said.contains("hunter2"), "{settings:?}: {said}");
    }
}
