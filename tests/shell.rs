//! The program at the command line: options, errors, exit codes, signals.

use std::net::TcpListener;
use std::process::{Output, Stdio};

use serde_json::Value;
use synckairos::config::{HEADINGS, SETTINGS, SettingKind};
use tokio::net::TcpStream;

use test_support::http::Connection;
use test_support::program::{Program, command, output};
use test_support::sessions::{id, two_players};
use test_support::wait;
use test_support::ws::Client;

const HOUR: u64 = 3_600_000;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it writes text")
}

/// What it says on standard error when it cannot start.
fn refusal(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(code), &b""[..]), "{said}");
    said
}

#[test]
fn help_lists_every_setting() {
    for flag in ["--help", "-h"] {
        // Help is for those whose settings are wrong, too.
        let output = output(command().arg(flag).env("PORT", "nonsense"));
        let help = text(&output.stdout);
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{flag}");
        for setting in SETTINGS.iter().filter(|setting| setting.kind != SettingKind::Secret) {
            let flag = format!("--{} <{}>", setting.name.to_lowercase().replace('_', "-"), setting.value);
            let line = help.lines().find(|line| line.contains(&flag)).unwrap_or_else(|| panic!("{flag}: {help}"));
            let default = if setting.default.is_empty() { "none" } else { setting.default };
            let default = format!("[default: {default}]");
            for part in [setting.help, &format!("[env: {}]", setting.name), &default] {
                assert!(line.contains(part), "{part}: {line}");
            }
        }
        for (first, heading) in HEADINGS {
            let begins = help.find(&format!("\n{heading}:\n")).unwrap_or_else(|| panic!("{heading}: {help}"));
            let flag = format!("--{} <", first.to_lowercase().replace('_', "-"));
            let next = help[begins..].lines().find(|line| line.trim_start().starts_with("--"));
            assert!(next.is_some_and(|line| line.contains(&flag)), "{heading} begins with {first}: {help}");
        }
        for part in ["Examples:", "NAME_FILE", "Keeps clocks in sync", "Usage: synckairos", "curl", "SIGTERM"] {
            assert!(help.contains(part), "{part}: {help}");
        }
    }
}

#[test]
fn version_is_one_line() {
    for flag in ["--version", "-V"] {
        let output = output(command().arg(flag));
        assert_eq!((output.status.code(), &*text(&output.stdout)), (Some(0), "synckairos 2.0.0\n"), "{flag}");
    }
}

#[test]
fn every_wrong_setting_is_reported_at_once() {
    let mut command = command();
    command.env("HOST", "example.org").env("PORT", "70000").env("LOG_LEVEL", "loud").env("MAX_SESSIONS", "-1");
    command.args(["--idle-timeout-ms=0", "--cors-origin", "example.org", "--max-sessions=many"]);
    let said = refusal(&output(&mut command), 2);
    let lines: Vec<_> = said.lines().collect();
    let expected = [
        "synckairos: HOST: \"example.org\" is not an IP address, localhost, or unix: and a path",
        "synckairos: PORT: \"70000\" is not a port from 0 to 65535",
        "synckairos: CORS_ORIGIN: \"example.org\" is not auto, *, or origins such as https://example.org, between commas",
        "synckairos: LOG_LEVEL: \"loud\" is not off, error, warn, info, debug or trace",
        "synckairos: MAX_SESSIONS: \"many\" is not a whole number from 1 to 100000000",
        "synckairos: IDLE_TIMEOUT_MS: \"0\" is not a whole number of milliseconds from 1 to 3600000",
        "synckairos: see --help",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_no_text_is_a_wrong_setting() {
    use std::os::unix::ffi::OsStrExt;
    let said = refusal(&output(command().env("PORT", std::ffi::OsStr::from_bytes(b"\xff"))), 2);
    assert!(said.starts_with("synckairos: PORT: "), "{said}");
}

#[test]
fn what_it_does_not_know_it_does_not_ignore() {
    for arguments in [&["--nonsense"][..], &["--port"], &["serve"], &["--port=1", "--port=2"], &["--PORT=0"]] {
        let said = refusal(&output(command().args(arguments)), 2);
        assert!(said.contains("error: ") && said.contains("--help"), "{arguments:?}: {said}");
    }
    // Each asks for the other: what is audited is queued in Redis.
    for (name, value) in [("REDIS_URL", "redis://localhost"), ("DATABASE_URL", "postgres://localhost/x")] {
        let said = refusal(&output(command().env(name, value).env("PORT", "0")), 2);
        assert!(said.starts_with("synckairos: DATABASE_URL: "), "{said}");
        assert!(!said.contains(value), "a URL may hold a password: {said}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let port = taken.local_addr().expect("it has an address").port().to_string();
    let said = refusal(&output(command().env("PORT", &port)), 1);
    let line: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("not one line of JSON: {said}"));
    assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"cannot listen".into()), "{said}");
    assert_eq!(line["address"], address, "{said}");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("in use")), "{said}");

    // 192.0.2.0/24 is nobody's (RFC 5737).
    assert!(refusal(&output(command().env("HOST", "192.0.2.1").env("AUTH", "off")), 1).contains("cannot listen"));
    assert_eq!(refusal(&output(command().env("PORT", &port).env("LOG_LEVEL", "off")), 1), "");
    assert!(!refusal(&output(command().env("PORT", &port).env("LOG_LEVEL", "error")), 1).is_empty());
}

#[tokio::test]
async fn it_says_where_it_listens_and_what_it_is() {
    let mut child = command();
    child.env("PORT", "0").stderr(Stdio::piped());
    let mut child = child.spawn().expect("the program runs");
    let mut log = std::io::BufReader::new(child.stderr.take().expect("the log is piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut log, &mut line).expect("the log is text");
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    assert_eq!((&said["level"], &said["store"], &said["version"]), (&"INFO".into(), &"memory".into(), &"2.0.0".into()));
    assert!(said["message"].as_str().is_some_and(|message| message.starts_with("SyncKairos listens")), "{line}");
    let address = said["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    assert_eq!(Connection::open(address).await.ask("GET", "/ready", "").await.status, 200);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[tokio::test]
async fn an_option_wins_over_the_environment() {
    let mut command = command();
    command.env("PORT", "nonsense").env("MAX_SESSIONS", "nonsense").env("CORS_ORIGIN", "https://example.org");
    let program = Program::start_command(command.args(["--port=0", "--max-sessions", "1"]));
    let mut client = Connection::open(program.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    let second = client.ask("POST", "/v1/sessions", &two_players(&id(2), HOUR).to_string()).await;
    assert_eq!(second.status, 503, "{second:?}");
    assert_eq!(second.header("access-control-allow-origin"), Some("https://example.org"));
}

#[tokio::test]
async fn it_logs_at_the_level_that_is_set() {
    for (level, told) in [("info", false), ("debug", true)] {
        let mut program = Program::start(&[("LOG_LEVEL", level)]);
        let mut client = Connection::open(program.address).await;
        client.create(&two_players(&id(1), HOUR)).await;
        drop(client);
        program.signal("TERM");
        assert_eq!(program.ended().await, Some(0));
        let log = program.log_rest();
        let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let answered = lines.iter().find(|line| line["message"] == "answered");
        assert_eq!(answered.is_some(), told, "{level}: {log:?}");
        if let Some(line) = answered {
            assert_eq!((&line["level"], &line["method"]), (&"DEBUG".into(), &"POST".into()));
            assert_eq!((&line["path"], &line["status"]), (&"/v1/sessions".into(), &201.into()));
        }
        assert!(!log.concat().contains(&id(1)[..]), "bodies are not logged: {log:?}");
    }
}

#[test]
fn it_logs_in_the_format_that_is_set() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    for (format, is_json) in [("text", false), ("json", true), ("auto", true), ("", true)] {
        let said = refusal(&output(command().env("PORT", &port).env("LOG_FORMAT", format)), 1);
        assert_eq!(serde_json::from_str::<Value>(&said).is_ok(), is_json, "{format}: {said}");
        assert_eq!(said.lines().count(), 1, "{format}: {said}");
        if !is_json {
            assert!(said.contains("ERROR cannot listen address=127.0.0.1:"), "{said}");
            assert!(!said.contains('\u{1b}'), "colours are for terminals: {said}");
        }
    }
}

/// A client in the middle of a request, one on a WebSocket, one that is idle.
#[tokio::test]
async fn it_finishes_what_it_has_begun_before_it_ends() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start(&[]);
        let body = two_players(&id(1), HOUR).to_string();
        let (first, second) = body.split_at(20);
        let mut in_body = Connection::open(program.address).await;
        let head = format!("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
        in_body.send(format!("{head}{first}").as_bytes()).await;
        let mut in_head = Connection::open(program.address).await;
        in_head.send(b"GET /v1/ti").await;
        let mut live = Client::join(program.address, &id(1)).await;
        let mut idle = Connection::open(program.address).await;
        assert_eq!(idle.ask("GET", "/health", "").await.status, 200);

        program.signal(signal);
        let line = program.log_line();
        assert!(line.contains("stopping") && line.contains(&format!("SIG{signal}")), "{line}");
        assert!(idle.is_closed().await);
        let refused = async || TcpStream::connect(program.address).await.is_err();
        wait::until("nobody is let in any more", refused).await;

        let close = live.closed().await;
        assert_eq!((u16::from(close.code), &*close.reason), (1001, "Server shutting down"));

        in_body.send(second.as_bytes()).await;
        let answer = in_body.answer(false).await.expect("it is answered");
        assert_eq!((answer.status, answer.header("connection")), (201, Some("close")), "{answer:?}");
        assert!(in_body.is_closed().await);
        in_head.send(b"me HTTP/1.1\r\nhost: test\r\n\r\n").await;
        assert_eq!(in_head.answer(false).await.map(|answer| answer.status), Some(200));
        drop((in_body, in_head, live, idle));

        assert_eq!(program.ended().await, Some(0));
        let log = program.log_rest();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains("\"stopped\""), "{log:?}");
    }
}

/// Clients that never finish keep it no longer than it lets any request take.
#[tokio::test]
async fn it_does_not_wait_for_ever() {
    let mut program = Program::start(&[("HEADER_TIMEOUT_MS", "100"), ("BODY_TIMEOUT_MS", "100")]);
    let mut slow = Vec::new();
    for start in ["POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\n{", "GET /", ""] {
        let mut client = Connection::open(program.address).await;
        client.send(start.as_bytes()).await;
        slow.push(client);
    }
    let deaf = Client::join(program.address, &id(1)).await;
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    drop((slow, deaf));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for signals in [["TERM", "TERM"], ["INT", "TERM"]] {
        // It would wait for this client for an hour, if it were not for its own limit.
        let mut program = Program::start(&[("BODY_TIMEOUT_MS", "3600000")]);
        let mut slow = Connection::open(program.address).await;
        slow.send(b"POST /v1/sessions HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")
            .await;
        assert_eq!(slow.answer(false).await.map(|answer| answer.status), Some(100), "it waits for the body");
        program.signal(signals[0]);
        assert!(program.log_line().contains("stopping"));
        assert_eq!(program.child.try_wait().expect("it was started"), None, "it waits for the client");
        program.signal(signals[1]);
        assert_eq!(program.ended().await, Some(1));
        let log = program.log_rest();
        assert!(log.len() == 1 && log[0].contains("stopped at once"), "{log:?}");
    }
}

/// Whoever reads the log may go away.
#[tokio::test]
async fn it_serves_on_when_its_log_is_not_read() {
    let mut child = command();
    child.env("PORT", "0").env("LOG_LEVEL", "debug").stderr(Stdio::piped());
    let mut child = child.spawn().expect("the program runs");
    let mut log = std::io::BufReader::new(child.stderr.take().expect("the log is piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut log, &mut line).expect("the log is text");
    drop(log);
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    let address = said["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    let mut client = Connection::open(address).await;
    let statuses = [client.ask("GET", "/ready", "").await.status, client.ask("GET", "/ready", "").await.status];
    child.kill().expect("it runs still");
    child.wait().expect("it ends");
    assert_eq!(statuses, [200, 200]);
}
