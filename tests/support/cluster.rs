//! Real Redis Clusters: masters and their replicas, each a process of its own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis::Value;

use super::certificates::{Authority, Certificate};
use super::faketime::Faketime;
use super::redis::free_port;
use super::wait;

/// A Cluster whose servers are killed when the test ends, and their files removed.
pub struct Cluster {
    pub nodes: Vec<Node>,
    authority: Option<String>,
}

/// A server of a Cluster.
pub struct Node {
    child: Child,
    /// Where the test comes in, and everybody else when there is no TLS.
    port: u16,
    tls_port: Option<u16>,
    bus: u16,
    dir: PathBuf,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

const SLOTS: u16 = 16_384;

impl Cluster {
    /// Masters that share the slots evenly, each with so many replicas. They forget everything when they end.
    pub fn start(masters: usize, replicas_each: usize) -> Self {
        Self::start_with(masters, replicas_each, &["--save", "", "--appendonly", "no"])
    }

    /// The same, with options of the test's own.
    pub fn start_with(masters: usize, replicas_each: usize, options: &[&str]) -> Self {
        Self::start_as(masters, replicas_each, options, None, &[])
    }

    /// As many masters as there are times of day, each by its own. None takes a step for the silence of the others.
    pub fn start_by(clocks: &[&Faketime]) -> Self {
        let options = ["--save", "", "--appendonly", "no", "--cluster-node-timeout", "60000"];
        Self::start_as(clocks.len(), 0, &options, None, clocks)
    }

    /// The same with TLS among all but the test itself.
    pub fn start_encrypted(masters: usize, replicas_each: usize, authority: &Authority) -> Self {
        let Certificate { pem_file, key_file, .. } = authority.certify("127.0.0.1");
        let ca = authority.file();
        let mut options = vec!["--save", "", "--appendonly", "no", "--tls-auth-clients", "no"];
        options.extend(["--tls-cert-file", &pem_file, "--tls-key-file", &key_file, "--tls-ca-cert-file", &ca]);
        options.extend(["--tls-cluster", "yes", "--tls-replication", "yes"]);
        Self::start_as(masters, replicas_each, &options, Some(ca.clone()), &[])
    }

    fn start_as(
        masters: usize,
        replicas_each: usize,
        options: &[&str],
        authority: Option<String>,
        clocks: &[&Faketime],
    ) -> Self {
        let start =
            |place| Node::start(options, authority.is_some(), clocks.get(place).copied().map(Faketime::for_redis));
        let nodes: Vec<_> = (0..masters * (1 + replicas_each)).map(start).collect();
        let cluster = Self { nodes, authority };
        cluster.nodes.iter().for_each(Node::wait);
        for (number, node) in cluster.nodes[..masters].iter().enumerate() {
            let at = |number: usize| (number * usize::from(SLOTS) / masters) as u16;
            let (first, last) = (at(number), at(number + 1) - 1);
            let mut commands = redis::pipe();
            commands.cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(number + 1).ignore();
            commands.cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last).ignore();
            commands.exec(&mut node.connect()).expect("it answers");
        }
        for node in &cluster.nodes[1..] {
            let mut meet = redis::cmd("CLUSTER");
            meet.arg("MEET").arg("127.0.0.1").arg(cluster.nodes[0].open_port()).arg(cluster.nodes[0].bus);
            meet.exec(&mut node.connect()).expect("it answers");
        }
        let count = cluster.nodes.len();
        wait::blocking("all have met", || cluster.nodes.iter().all(|node| node.known_nodes() == count));
        for (number, replica) in cluster.nodes[masters..].iter().enumerate() {
            let id = cluster.nodes[number % masters].id();
            wait::blocking("it knows its master", || {
                redis::cmd("CLUSTER").arg("REPLICATE").arg(&id).exec(&mut replica.connect()).is_ok()
            });
        }
        cluster.wait();
        cluster.wait_for_replicas();
        cluster
    }

    /// Waits until every replica has what its master has, and the masters know.
    pub fn wait_for_replicas(&self) {
        wait::blocking("replicas follow", || {
            let all: Vec<_> = self.nodes.iter().map(Node::replication).collect();
            let follow = all.iter().filter(|info| info.contains("role:slave")).count();
            let known: usize = all.iter().map(|info| info.matches("state=online").count()).sum();
            let in_step = all.iter().filter(|info| info.contains("master_link_status:up")).count();
            in_step == follow && known == follow
        });
    }

    /// The URL that names some of it.
    pub fn url(&self) -> String {
        let named: Vec<_> = self.nodes.iter().take(3).map(|node| format!("127.0.0.1:{}", node.open_port())).collect();
        let scheme = if self.authority.is_some() { "rediss" } else { "redis" };
        format!("{scheme}+cluster://{}", named.join(","))
    }

    /// What instances on it must be told.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let authority = self.authority.iter().map(|file| ("REDIS_CA_CERT", file.clone()));
        [("REDIS_URL", self.url())].into_iter().chain(authority).collect()
    }

    /// Waits until every server that runs finds all slots served.
    pub fn wait(&self) {
        wait::blocking("the Cluster is well", || self.nodes.iter().filter(|node| node.runs()).all(Node::is_well));
    }

    /// Who answers for a slot, as those see it who run.
    pub fn owner(&self, slot: u16) -> usize {
        let mut found = None;
        wait::blocking("somebody answers for the slot", || {
            let owners: HashSet<_> =
                self.nodes.iter().filter(|node| node.runs()).map(|node| node.owner(slot)).collect();
            found = owners.iter().next().copied().flatten();
            owners.len() == 1 && found.is_some_and(|port| self.place(port).is_some_and(|at| self.nodes[at].runs()))
        });
        found.and_then(|port| self.place(port)).expect("it was found")
    }

    /// Gives a slot with its keys to another master, as operators do it, key by key.
    pub fn migrate(&self, slot: u16, to: usize) {
        let from = self.owner(slot);
        assert_ne!(from, to, "it is there");
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let set = |node: &Node, state: &str, id: &str| {
            let mut command = redis::cmd("CLUSTER");
            command.arg("SETSLOT").arg(slot).arg(state).arg(id);
            command.exec(&mut node.connect()).expect("it answers");
        };
        set(target, "IMPORTING", &source.id());
        set(source, "MIGRATING", &target.id());
        let mut connection = source.connect();
        loop {
            let keys: Vec<String> = redis::cmd("CLUSTER")
                .arg("GETKEYSINSLOT")
                .arg(slot)
                .arg(10)
                .query(&mut connection)
                .expect("it answers");
            if keys.is_empty() {
                break;
            }
            let mut command = redis::cmd("MIGRATE");
            command.arg("127.0.0.1").arg(target.open_port()).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
            command.exec(&mut connection).expect("keys can be moved");
        }
        let id = target.id();
        set(target, "NODE", &id);
        set(source, "NODE", &id);
        for node in self.nodes.iter().filter(|node| node.runs() && node.is_master()) {
            set(node, "NODE", &id);
        }
    }

    fn place(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port == port)
    }
}

impl Node {
    fn start(options: &[&str], is_encrypted: bool, environment: Option<Vec<(String, String)>>) -> Self {
        static NODES: AtomicU32 = AtomicU32::new(0);
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("synckairos-test-{}-node-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the directory can be made");
        let mut options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let (port, bus) = (free_port(), free_port());
        let tls_port = is_encrypted.then(free_port);
        options.extend(tls_port.iter().flat_map(|port| ["--tls-port".to_owned(), port.to_string()]));
        let environment = environment.unwrap_or_default();
        let child = spawn(port, bus, &dir, &options, &environment);
        Self { child, port, tls_port, bus, dir, options, environment }
    }

    /// Where everybody but the test comes in.
    fn open_port(&self) -> u16 {
        self.tls_port.unwrap_or(self.port)
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("a URL");
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match client.get_connection_with_timeout(Duration::from_secs(5)) {
                Ok(connection) => return connection,
                // A signal may come between.
                Err(error) => assert!(Instant::now() < deadline, "the server does not answer: {error}"),
            }
        }
    }

    /// Lets no replica follow it any more until it is started again, while whoever else is connected goes on.
    pub fn cut_replicas(&self) {
        super::redis::cut_replicas(&mut self.connect());
    }

    /// Sends it a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        super::redis::signal(self.child.id(), name);
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on its files.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, self.bus, &self.dir, &self.options, &self.environment);
        self.wait();
    }

    /// Whether it was not killed.
    pub fn runs(&self) -> bool {
        std::path::Path::new(&format!("/proc/{}/exe", self.child.id())).exists()
    }

    pub fn is_master(&self) -> bool {
        let role: Vec<Value> = redis::cmd("ROLE").query(&mut self.connect()).expect("it answers");
        matches!(role.first(), Some(Value::BulkString(role)) if role == b"master")
    }

    fn replication(&self) -> String {
        redis::cmd("INFO").arg("replication").query(&mut self.connect()).unwrap_or_default()
    }

    fn id(&self) -> String {
        redis::cmd("CLUSTER").arg("MYID").query(&mut self.connect()).expect("it answers")
    }

    fn info(&self) -> String {
        redis::cmd("CLUSTER").arg("INFO").query(&mut self.connect()).expect("it answers")
    }

    fn known_nodes(&self) -> usize {
        let info = self.info();
        let known = info.lines().find_map(|line| line.strip_prefix("cluster_known_nodes:")?.trim().parse().ok());
        known.unwrap_or_default()
    }

    fn is_well(&self) -> bool {
        let info = self.info();
        info.contains("cluster_state:ok") && info.contains(&format!("cluster_slots_ok:{SLOTS}"))
    }

    fn owner(&self, slot: u16) -> Option<u16> {
        let ranges: Vec<Vec<Value>> =
            redis::cmd("CLUSTER").arg("SLOTS").query(&mut self.connect()).expect("it answers");
        let number = |value: &Value| redis::from_redis_value_ref::<u16>(value).ok();
        ranges.iter().find_map(|range| {
            let within = number(range.first()?)? <= slot && slot <= number(range.get(1)?)?;
            let Value::Array(master) = range.get(2)? else { return None };
            within.then(|| number(master.get(1)?)).flatten()
        })
    }

    fn wait(&self) {
        wait::blocking("it answers", || {
            let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("a URL");
            let connected = client.get_connection_with_timeout(Duration::from_millis(100));
            connected.and_then(|mut connection| redis::cmd("PING").exec(&mut connection)).is_ok()
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn spawn(port: u16, bus: u16, dir: &PathBuf, options: &[String], environment: &[(String, String)]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--cluster-port", &bus.to_string(), "--bind", "127.0.0.1", "--dir"]);
    command.arg(dir).args(["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.envs(environment.iter().cloned());
    command.spawn().expect("redis-server is installed: tests/run installs it")
}
