//! A Redis master, its replicas, and three Sentinels that promote a replica: real processes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, Pipeline, RedisResult};

use super::certificates::{Authority, Certificate};
use super::faketime::Faketime;
use super::redis::{Redis, Setup, cut_replicas, free_port};
use super::wait;

/// What the master is called.
const NAME: &str = "main";
/// Of whoever may take the master's place; 0 is for who may not.
const PRIORITY: &str = "100";
/// A server that does not answer in this time is down, or halted.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);
/// Everything is in memory, and a replica is in step as soon as it can be.
const OPTIONS: [&str; 8] =
    ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb"];

/// Servers that are killed when the test ends, and their files removed.
pub struct Group {
    /// The master and its replicas; who is which changes.
    pub nodes: Vec<Redis>,
    sentinels: Vec<Sentinel>,
    tls: Option<Tls>,
}

/// What is shown and believed where everything is encrypted; files (PEM).
struct Tls {
    certificate: Certificate,
    authority: String,
}

/// A Sentinel.
struct Sentinel {
    child: Child,
    /// Where the test comes in, and everybody else when there is no TLS.
    port: u16,
    tls_port: Option<u16>,
    dir: PathBuf,
}

impl Group {
    /// A master with so many replicas, and three Sentinels who know them all.
    pub fn start(replicas: usize) -> Self {
        Self::start_as(replicas, None, &[])
    }

    /// As many servers as there are times of day, each by its own.
    pub fn start_by(clocks: &[&Faketime]) -> Self {
        Self::start_as(clocks.len() - 1, None, clocks)
    }

    /// The same with TLS among all but the test itself.
    pub fn start_encrypted(replicas: usize, authority: &Authority) -> Self {
        Self::start_as(
            replicas,
            Some(Tls { certificate: authority.certify("127.0.0.1"), authority: authority.file() }),
            &[],
        )
    }

    fn start_as(replicas: usize, tls: Option<Tls>, clocks: &[&Faketime]) -> Self {
        let mut group = Self { nodes: Vec::new(), sentinels: Vec::new(), tls };
        for place in 0..=replicas {
            let options = group.options((place > 0).then(|| group.nodes[0].port()));
            let mut setup = Setup::default().options(&options.iter().map(String::as_str).collect::<Vec<_>>());
            if let Some(Tls { certificate, authority }) = &group.tls {
                setup = setup.with_tls("127.0.0.1", &certificate.pem_file, &certificate.key_file, authority);
            }
            if let Some(clock) = clocks.get(place) {
                setup = setup.environment(clock.for_redis());
            }
            group.nodes.push(setup.start());
        }
        let master = group.nodes[0].port();
        group.sentinels = (0..3).map(|_| Sentinel::start(master, group.tls.as_ref())).collect();
        group.heal();
        group
    }

    /// What a server is told: to follow the master at a port, or to be the master.
    fn options(&self, master: Option<u16>) -> Vec<String> {
        let mut options: Vec<_> = OPTIONS.iter().map(|&option| option.to_owned()).collect();
        if let Some(tls) = &self.tls {
            options.extend(tls.settings().iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]));
        }
        options.extend(master.iter().flat_map(|port| ["--replicaof".to_owned(), format!("127.0.0.1 {port}")]));
        options
    }

    /// The URL that names the Sentinels.
    pub fn url(&self) -> String {
        let port = |sentinel: &Sentinel| sentinel.tls_port.unwrap_or(sentinel.port);
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", port(sentinel))).collect();
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// The newest that any Sentinel announces: how many switches there were, and the place of the master.
    pub fn announced(&self) -> (u64, usize) {
        let mut newest = None;
        wait::blocking("the Sentinels know a master", || {
            newest = self.sentinels.iter().filter_map(|sentinel| sentinel.announced(&self.nodes)).max();
            newest.is_some()
        });
        newest.expect("it was found")
    }

    /// The present master.
    pub fn master(&self) -> usize {
        self.announced().1
    }

    /// Waits until another master than that at `before` is announced; returns its place and when that was.
    pub fn switched(&self, before: usize) -> (usize, Instant) {
        let mut place = before;
        wait::blocking("a new master is announced", || {
            place = self.master();
            place != before
        });
        (place, Instant::now())
    }

    /// Lets nobody change anything on a master for a while.
    pub fn pause(&self, master: usize) {
        let mut command = redis::cmd("CLIENT");
        command.arg("PAUSE").arg(10_000).arg("WRITE").exec(&mut self.nodes[master].connect()).expect("it answers");
    }

    /// Has another put in the place of a master that is well.
    pub fn hand_over(&self) {
        let mut command = redis::pipe();
        command.cmd("SENTINEL").arg("FAILOVER").arg(NAME).ignore();
        ask::<()>(&self.sentinels[0].own_url(), &command).expect("a Sentinel does as it is told");
    }

    /// The places of all others.
    pub fn others(&self, than: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|place| *place != than).collect()
    }

    /// Starts a server that was killed, as a replica of the present master. It has nothing yet, and Sentinels do not mind:
    /// until it is in step it must not be put in the master's place, though a machine that is busy makes them look for
    /// somebody.
    pub fn start_again(&mut self, place: usize) {
        let follows = self.options(Some(self.nodes[self.master()].port()));
        let options = follows.iter().map(String::as_str).chain(["--replica-priority", "0"]);
        self.nodes[place].restart_with(&options.collect::<Vec<_>>());
    }

    /// Lets no replica of a master follow it, now or later, while whoever else is connected goes on.
    pub fn cut_replicas(&self, master: usize) {
        cut_replicas(&mut self.nodes[master].connect());
    }

    /// Takes that back.
    pub fn let_follow(&self, master: usize) {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg("default").arg("+psync").arg("+sync");
        command.exec(&mut self.nodes[master].connect()).expect("it answers");
    }

    /// Waits until every other server follows the master and has all that it has, so that it may take its place, and
    /// the Sentinels have seen so.
    pub fn heal(&self) {
        let count = self.nodes.len() - 1;
        wait::blocking("the group is whole", || {
            let master = self.master();
            let port = self.nodes[master].port();
            let follows = |place: usize| {
                self.replication(place).is_some_and(|info| {
                    info["role"] == "slave"
                        && info["master_link_status"] == "up"
                        && info["master_port"] == port.to_string()
                })
            };
            let is_whole = self.replication(master).is_some_and(|info| info["connected_slaves"] == count.to_string())
                && self.others(master).into_iter().all(follows);
            is_whole
                && self.others(master).into_iter().all(|place| self.may_be_promoted(place))
                && self.sentinels.iter().all(|sentinel| sentinel.sees_all_well(count) == Some(port))
        });
    }

    fn may_be_promoted(&self, place: usize) -> bool {
        let mut command = redis::pipe();
        command.cmd("CONFIG").arg("SET").arg("replica-priority").arg(PRIORITY).ignore();
        ask::<()>(&self.nodes[place].own_url(), &command).is_ok()
    }

    /// What a server says of its replication; `None` when it does not answer.
    pub fn replication(&self, place: usize) -> Option<HashMap<String, String>> {
        let mut command = redis::pipe();
        command.cmd("INFO").arg("replication");
        let (info,): (String,) = ask(&self.nodes[place].own_url(), &command).ok()?;
        let fields = info.lines().filter_map(|line| line.split_once(':'));
        Some(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Tls {
    fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("tls-cert-file", self.certificate.pem_file.clone()),
            ("tls-key-file", self.certificate.key_file.clone()),
            ("tls-ca-cert-file", self.authority.clone()),
            ("tls-auth-clients", "no".to_owned()),
            ("tls-replication", "yes".to_owned()),
        ]
    }
}

impl Sentinel {
    fn start(master: u16, tls: Option<&Tls>) -> Self {
        static SENTINELS: AtomicU32 = AtomicU32::new(0);
        let number = SENTINELS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("synckairos-test-{}-sentinel-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the directory can be made");
        let port = free_port();
        let tls_port = tls.map(|_| free_port());
        let mut lines = vec![
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", dir.display()),
            format!("sentinel monitor {NAME} 127.0.0.1 {master} 2"),
            // A machine that is busy halts a server for a while.
            format!("sentinel down-after-milliseconds {NAME} 2000"),
            format!("sentinel failover-timeout {NAME} 3000"),
            format!("sentinel parallel-syncs {NAME} 2"),
        ];
        lines.extend(tls_port.map(|port| format!("tls-port {port}")));
        let settings = tls.iter().flat_map(|tls| tls.settings());
        lines.splice(0..0, settings.map(|(name, value)| format!("{name} {value}")));
        // It writes down there what it learns.
        let file = dir.join("sentinel.conf");
        std::fs::write(&file, lines.join("\n")).expect("it can be written");
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("redis-server is installed: tests/run installs it");
        let sentinel = Self { child, port, tls_port, dir };
        // What else takes it many seconds, such as to look whether an old master is back.
        let mut sooner = redis::pipe();
        sooner.cmd("SENTINEL").arg("DEBUG").arg("INFO-PERIOD").arg(300).arg("PUBLISH-PERIOD").arg(500).ignore();
        wait::blocking("a Sentinel answers", || ask::<()>(&sentinel.own_url(), &sooner).is_ok());
        sentinel
    }

    fn own_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Since which switch the master is where: the first is told in time, or the second is newer.
    fn announced(&self, nodes: &[Redis]) -> Option<(u64, usize)> {
        let mut command = redis::pipe();
        command.cmd("SENTINEL").arg("MASTER").arg(NAME);
        command.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(NAME);
        let (fields, (_, port)): (HashMap<String, String>, (String, u16)) = ask(&self.own_url(), &command).ok()?;
        let place = nodes.iter().position(|node| node.port() == port)?;
        Some((fields["config-epoch"].parse().ok()?, place))
    }

    /// Where it takes the master to be; `None` unless all is well with so many replicas and two other Sentinels.
    fn sees_all_well(&self, replicas: usize) -> Option<u16> {
        let mut command = redis::pipe();
        command.cmd("SENTINEL").arg("MASTER").arg(NAME).cmd("SENTINEL").arg("REPLICAS").arg(NAME);
        let (master, followers): (HashMap<String, String>, Vec<HashMap<String, String>>) =
            ask(&self.own_url(), &command).ok()?;
        let follows = |it: &&HashMap<String, String>| {
            it["flags"] == "slave" && it["master-link-status"] == "ok" && it["slave-priority"] == PRIORITY
        };
        let is_well = master["flags"] == "master"
            && master["num-other-sentinels"] == "2"
            && followers.iter().filter(follows).count() == replicas;
        is_well.then(|| master["port"].parse().ok()).flatten()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Asks a server that may be gone, or halted.
fn ask<T: FromRedisValue>(url: &str, commands: &Pipeline) -> RedisResult<T> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_connection_with_timeout(ANSWER_TIME_MAX)?;
    connection.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    commands.query(&mut connection)
}
