//! Real PostgreSQL servers, each a process of its own on a free port, with its files in a directory of its own. Tests that run
//! at the same time share one, a database for each; a test that stops a server starts one of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use super::redis::{free_port, try_signal};

/// A server that is killed when the last test that uses it ends, and its files removed.
pub struct Postgres {
    child: Child,
    port: u16,
    dir: PathBuf,
    options: Vec<String>,
}

/// A database of the test's own.
pub struct Database {
    server: Arc<Postgres>,
    name: String,
}

impl Database {
    /// A new one, empty.
    pub fn create() -> Self {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        // A static is never dropped, so it must not hold the server: the tests do.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Postgres::start());
            *shared = Arc::downgrade(&server);
            server
        });
        drop(shared);
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server.connect("postgres").batch_execute(&format!("create database {name}")).expect("it can be made");
        Self { server, name }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> Client {
        self.server.connect(&self.name)
    }
}

impl Postgres {
    /// A server that may lose everything when the machine stops.
    pub fn start() -> Self {
        Self::start_with(&["fsync=off"], &[])
    }

    /// A server with settings and files of the test's own; files are in its working directory.
    pub fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Self {
        static SERVERS: AtomicU32 = AtomicU32::new(0);
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("synckairos-test-pg-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("the directory can be made");
        give_away(&dir);
        let data = dir.join("data");
        copy(&template(&dir), &data, owner(&dir));
        for (name, text) in files {
            let path = data.join(name);
            fs::write(&path, text).expect("the file can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is the test's");
            give_away(&path);
        }
        let port = free_port();
        let options: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let child = spawn(port, &dir, &options);
        let mut postgres = Self { child, port, dir, options };
        postgres.wait();
        postgres
    }

    /// A database's URL.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own.
    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.url(database), NoTls).expect("the server answers")
    }

    /// Stops it at once, as in a crash.
    pub fn stop(&mut self) {
        // A server that was halted hears nothing before it goes on. It takes its children with it, unlike one that
        // is killed.
        self.signal("CONT");
        self.signal("QUIT");
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(10) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Starts it again on its files.
    pub fn start_again(&mut self) {
        self.child = spawn(self.port, &self.dir, &self.options);
        self.wait();
    }

    /// The number of its process, whose children serve connections.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, such as `STOP`, and those that serve its connections too.
    pub fn signal(&self, name: &str) {
        let own = self.process();
        // Any of them may have ended.
        for process in [own].into_iter().chain(children(own)) {
            try_signal(process, name);
        }
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while Client::connect(&self.url("postgres"), NoTls).is_err() {
            let is_there = matches!(self.child.try_wait(), Ok(None));
            if !is_there || start.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("PostgreSQL does not answer: {log}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The processes that a process has started (Linux).
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let is_child = |number: &u32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: the state, then the parent.
        let told = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        told == Some(parent)
    };
    numbers.filter(is_child).collect()
}

fn spawn(port: u16, dir: &Path, settings: &[String]) -> Child {
    let log = fs::File::create(dir.join("log")).expect("the log can be made");
    let mut command = program("postgres", dir);
    command.arg("-D").arg(dir.join("data")).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories="] {
        command.args(["-c", setting]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("postgres runs")
}

/// The files of a new server, made once and kept beside the program that asks; `dir` is given away.
fn template(dir: &Path) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let version = Command::new(find("initdb")).arg("--version").output().expect("initdb runs").stdout;
    let version: String = String::from_utf8_lossy(&version).chars().filter(char::is_ascii_alphanumeric).collect();
    let own = std::env::current_exe().expect("a program has a path");
    let template = own.with_file_name(format!("postgres-files-{version}-{}", owner(dir).0));
    if template.exists() {
        return template;
    }
    let made = dir.join("template");
    let mut initdb = program("initdb", dir);
    initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
    let done = initdb.arg(&made).stdin(Stdio::null()).output().expect("initdb runs");
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
    // Whole or not at all: other programs may ask at the same time, and one of them was faster, perhaps.
    let unfinished = template.with_extension(std::process::id().to_string());
    copy(&made, &unfinished, owner(&made));
    fs::remove_dir_all(&made).expect("it is the test's");
    if fs::rename(&unfinished, &template).is_err() {
        fs::remove_dir_all(&unfinished).expect("it is the test's");
    }
    template
}

/// User and group of a file.
fn owner(path: &Path) -> (u32, u32) {
    let file = fs::metadata(path).expect("it is there");
    (file.uid(), file.gid())
}

/// Copies a file, or a directory with all that is in it, for its new owner.
fn copy(from: &Path, to: &Path, owner: (u32, u32)) {
    let file = fs::metadata(from).expect("it is there");
    if file.is_dir() {
        fs::create_dir(to).expect("there is room");
        fs::set_permissions(to, file.permissions()).expect("it is the test's");
        for entry in fs::read_dir(from).expect("it can be read") {
            let entry = entry.expect("it can be read");
            copy(&entry.path(), &to.join(entry.file_name()), owner);
        }
    } else {
        fs::copy(from, to).expect("there is room");
    }
    chown(to, Some(owner.0), Some(owner.1)).expect("it is the test's");
}

/// A program of PostgreSQL's, as a user that it agrees to run as: never root.
fn program(name: &str, dir: &Path) -> Command {
    let path = find(name);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    command.current_dir(dir);
    command
}

/// In PATH, or where Debian puts it: the newest.
fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()) {
        return found;
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path());
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter(|version| version.join("bin").join(name).is_file()).max_by_key(number);
    newest.expect("PostgreSQL is installed: tests/run installs it").join("bin").join(name)
}

const USER: &str = "postgres";

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Makes a file the server's.
fn give_away(path: &Path) {
    if !is_root() {
        return;
    }
    let is_there = Command::new("id").arg(USER).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_there.expect("id runs").success() {
        let _ = Command::new("useradd").args(["--system", "--user-group", USER]).status();
    }
    let given = Command::new("chown").arg(format!("{USER}:{USER}")).arg(path).status();
    assert!(given.expect("chown runs").success(), "{} cannot be the server's", path.display());
}
