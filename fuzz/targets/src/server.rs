//! A server inside the target's own process, behind a socket in the file system, and what it answers to bytes. Does not know
//! what is asked.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use synckairos::config::Config;
use synckairos::serve;

/// How long the server may take for one input.
const PATIENCE: Duration = Duration::from_secs(20);

static PATH: OnceLock<PathBuf> = OnceLock::new();

/// What the server answers to bytes that come in these pieces, until it has closed the connection.
pub(crate) fn answer(pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = UnixStream::connect(PATH.get_or_init(start)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a length that can be had");
    for piece in pieces {
        // A server that has refused what came before takes no more.
        let _ = stream.write_all(piece);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the server closes in time");
    }
    answer
}

/// Starts the server; it runs until the process ends.
fn start() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("synckairos-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("there is room");
    let path = directory.join("socket");
    let host = format!("unix:{}", path.display());
    let (started, is_started) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there are threads");
        runtime.block_on(async {
            let running = serve::start(config(&host)).await.expect("nobody else listens there");
            started.send(()).expect("somebody waits");
            std::future::pending::<()>().await;
            drop(running);
        });
    });
    is_started.recv_timeout(PATIENCE).expect("it starts");
    path
}

/// Nothing that is asked waits for anything.
fn config(host: &str) -> Config {
    let settings = [
        ("HOST", host),
        ("ALLOWED_HOSTS", "*"),
        ("RATE_LIMIT_SWITCH", "0"),
        ("RATE_LIMIT_ANSWER_BYTES", "0"),
        ("MAX_SESSIONS", "1000"),
        ("TOMBSTONE_TTL_S", "1"),
        ("LIFETIME_PENDING_S", "60"),
        ("LOG_LEVEL", "off"),
    ];
    let given = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::read(given).expect("the settings are valid")
}
