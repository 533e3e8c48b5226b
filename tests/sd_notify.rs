//! systemd notifications: ready, stopping, watchdog.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{Program, command};

/// How long a message may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A manager that listens on a path.
pub(crate) fn manager(directory: &Directory) -> (UnixDatagram, String) {
    std::fs::create_dir_all(directory.path()).expect("the directory can be made");
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("nobody else is there");
    socket.set_read_timeout(Some(PATIENCE)).expect("that is a time");
    (socket, path.to_str().expect("the path is text").to_owned())
}

/// The next message.
pub(crate) fn hear(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let len = socket.recv(&mut message).expect("the program tells something");
    String::from_utf8(message[..len].to_vec()).expect("a message is text")
}

/// What was told and nobody has heard.
fn rest(socket: &UnixDatagram) -> Vec<String> {
    socket.set_nonblocking(true).expect("that can be set");
    let mut rest = Vec::new();
    let mut message = [0; 256];
    loop {
        match socket.recv(&mut message) {
            Ok(len) => rest.push(String::from_utf8_lossy(&message[..len]).into_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return rest,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_notifies_when_it_is_ready_and_when_it_stops() {
    let directory = Directory::new();
    let (by_path, path) = manager(&directory);
    let name = format!("synckairos-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("that is a name");
    let by_name = UnixDatagram::bind_addr(&address).expect("nobody else is there");
    by_name.set_read_timeout(Some(PATIENCE)).expect("that is a time");
    for (socket, given) in [(by_path, path), (by_name, format!("@{name}"))] {
        let mut program = Program::start(&[("NOTIFY_SOCKET", &given)]);
        assert_eq!(hear(&socket), "READY=1");
        let mut client = Connection::open(program.address).await;
        assert_eq!(client.ask("GET", "/ready", "").await.status, 200);
        // An orderly stop waits for this client, and tells before it does.
        client
            .send(b"POST /v1/sessions HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            .await;
        assert_eq!(client.answer(false).await.map(|answer| answer.status), Some(100), "it waits for the body");
        program.signal("TERM");
        assert_eq!(hear(&socket), "STOPPING=1");
        assert_eq!(program.child.try_wait().expect("it was started"), None, "it waits for the client");
        client.send(b"{}").await;
        assert_eq!(client.answer(false).await.map(|answer| answer.status), Some(400));
        assert_eq!(program.ended().await, Some(0));
        assert_eq!(rest(&socket), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_gives_signs_of_life_to_who_wants_them_from_it() {
    let directory = Directory::new();
    let (socket, path) = manager(&directory);
    let mut program = Program::start(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "20000")]);
    assert_eq!(hear(&socket), "READY=1");
    assert_eq!([hear(&socket), hear(&socket), hear(&socket)], ["WATCHDOG=1"; 3]);
    program.signal("TERM");
    while hear(&socket) != "STOPPING=1" {}
    assert_eq!(program.ended().await, Some(0));
    assert!(rest(&socket).iter().all(|told| told == "WATCHDOG=1"));
    // They are wanted from process 1.
    let settings = [("NOTIFY_SOCKET", &*path), ("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", "1")];
    socket.set_nonblocking(false).expect("that can be set");
    let mut program = Program::start(&settings);
    assert_eq!(hear(&socket), "READY=1");
    program.signal("TERM");
    assert_eq!(hear(&socket), "STOPPING=1");
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(rest(&socket), [""; 0]);
}

#[tokio::test]
async fn it_serves_without_a_service_manager() {
    let directory = Directory::new();
    let gone = format!("{}/notify", directory.text());
    for (socket, warned) in [(&*gone, true), ("@synckairos-nobody", true), ("", false)] {
        let mut program = Program::start(&[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "nonsense")]);
        let mut client = Connection::open(program.address).await;
        assert_eq!(client.ask("GET", "/ready", "").await.status, 200, "{socket:?}");
        drop(client);
        program.signal("TERM");
        assert_eq!(program.ended().await, Some(0), "{socket:?}");
        let warnings = program.log_rest().iter().filter(|line| line.contains("cannot be told")).count();
        assert_eq!(warnings, if warned { 2 } else { 0 }, "{socket:?}");
    }
    // Who cannot start does not say that it serves.
    let (socket, path) = manager(&directory);
    let output = command()
        .env("NOTIFY_SOCKET", path)
        .env("HOST", "192.0.2.1")
        .env("AUTH", "off")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(rest(&socket), [""; 0]);
}
