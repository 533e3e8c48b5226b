//! What is shown to come in is shown nowhere else: not in the log at its loudest, not in answers, metrics or the list of processes;
//! and what a token says of itself forges no line of the log.

use serde_json::{Value, json};
use synckairos::config::SETTINGS;
use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::program::{Program, command, output};
use test_support::sessions::id;
use test_support::tokens::{Signer, api_key, base64url, claims};
use test_support::ws::Client;

use super::now_s;

#[test]
fn help_shows_nothing_of_the_environment() {
    for arguments in [&["--help"][..], &["keys", "--help"], &["token", "new", "--help"]] {
        let mut help = command();
        for setting in SETTINGS {
            help.env(setting.name, "hunter2").env(format!("{}_FILE", setting.name), "hunter2");
        }
        let said = output(help.args(arguments));
        let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        assert!(said.contains("Usage: synckairos") && !said.contains("hunter2"), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn nothing_repeats_a_credential() {
    let (key, _) = api_key("planted");
    let signer = Signer::hs256(0x5a);
    let grants = json!([{"sessions": ["*"], "allow": ["*"]}]);
    let subject = "mallory\u{e9} %0a \"}{";
    let token = signer.token("token-secret", &claims(subject, now_s() + 600, &grants));
    let forged = Signer::hs256(1).token("token-secret", &claims("forged", now_s() + 600, &grants));
    let kid = format!("kid-{}", base64url(&[7; 24]));
    let unknown = signer.token(&kid, &claims("unknown", now_s() + 600, &grants));
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let file = directory.path().join("secret");
    std::fs::write(&file, signer.secret()).expect("it can be written");
    let mut start = command();
    start.env("PORT", "0").env("LOG_LEVEL", "trace").env("LOG_FORMAT", "json").env("API_KEY", &key);
    let mut program = Program::start_command(start.env("TOKEN_SECRET_FILE", &file));

    let mut told = String::new();
    let of_process = format!("/proc/{}/cmdline", program.child.id());
    told += &std::fs::read_to_string(of_process).unwrap_or_default();
    for credential in [&key, &token, &forged, &unknown, &format!("{key}x"), "synk_planted_short"] {
        for path in ["/v1/time", "/metrics", "/ready", "/nowhere", &format!("/v1/sessions/{}", id(1))] {
            let mut client = Connection::open(program.address).await;
            let bearer = format!("Bearer {credential}");
            let answer = client.ask_with("GET", path, &[("authorization", &bearer)], "").await;
            told += &format!("{answer:?}");
        }
        let query = format!("?sessionId={}", id(1));
        let mut client = Client::open(program.address, &query).await;
        client.say(json!({"type": "AUTH", "token": credential})).await;
        told += &format!("{:?}", client.receive().await);
        let offered = format!("synckairos.v1, bearer.{credential}");
        let mut client = Client::open_with(program.address, &query, &[("sec-websocket-protocol", &offered)]).await;
        told += &format!("{:?}", client.receive().await);
    }
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    let log = program.log_whole();
    assert!(log.len() > 20, "it says what it does: {log:?}");
    for line in &log {
        let said: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(said["message"].is_string(), "no line is made up: {line}");
    }
    told += &log.join("\n");
    // Of a key what follows its name, of a token its signature: either may hold an underscore.
    let last = |token: &str| token.rsplit('.').next().expect("it has parts").to_owned();
    let secret_of = |shown: &str| shown.strip_prefix("synk_planted_").map_or_else(|| last(shown), str::to_owned);
    for planted in [secret_of(&key), signer.secret(), secret_of(&token), secret_of(&forged), secret_of(&unknown), kid] {
        assert!(!told.contains(&planted), "{planted} is told");
    }
    assert!(!told.contains("route=\"mallory"), "a subject is no label");
}
