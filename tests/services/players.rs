//! From nothing to a player's token, by the program's own commands and curl: who has it switches in turn, and does nothing else.

use std::process::Command;

use serde_json::{Value, json};

use test_support::directory::Directory;
use test_support::program::{Program, command, output};
use test_support::sessions::{id, participant, two_players};
use test_support::tokens::Signer;

/// What the program prints to a command.
fn said(arguments: &[&str]) -> String {
    let output = output(command().args(arguments));
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

/// What curl is answered: the status, and the body.
fn curl(server: &Program, credential: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--write-out", "\n%{http_code}", "--request", method]);
    if !credential.is_empty() {
        curl.arg("--header").arg(format!("Authorization: Bearer {credential}"));
    }
    if !body.is_null() {
        curl.arg("--data").arg(body.to_string());
    }
    let output = curl.arg(format!("http://{}{path}", server.address)).output().expect("curl is installed");
    assert!(output.status.success(), "{method} {path}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("it is text");
    let (body, status) = text.rsplit_once('\n').expect("the status is the last line");
    (status.parse().expect("a status"), serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn a_player_switches_in_turn_and_does_nothing_else_and_a_stranger_reads_nothing() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let made = said(&["keys", "new", "--id", "backend", "--allow", "*,list,metrics"]);
    let key = made.lines().next().expect("the key is the first line");
    let entry: Value = serde_json::from_str(made.lines().last().expect("a line")).expect("its line is JSON");
    let (secret, allow) = (Signer::hs256(3).secret(), ["read", "watch", "switch:own"]);
    let signing = json!({"id": "k1", "kind": "hs256", "secret": secret, "allow": allow, "sessions": ["*"]});
    let file = directory.path().join("keys.json");
    std::fs::write(&file, json!({"keys": [entry, signing]}).to_string()).expect("it can be written");
    let file = file.to_str().expect("it is text");
    let token = |subject: &str, session: &str, place: usize| {
        let (player, arguments) = (participant(place as u64), ["token", "new", "--keys-file", file, "--sub", subject]);
        let token = said(&[&arguments[..], &["--sessions", session, "--as", &player]].concat());
        token.trim().to_owned()
    };
    let (white, black, stranger) = (token("white", &id(1), 0), token("black", &id(1), 1), token("white", &id(2), 0));

    let server = Program::start(&[("KEYS_FILE", file), ("RATE_LIMIT_SWITCH", "0")]);
    let session = format!("/v1/sessions/{}", id(1));
    let path = |action: &str| format!("{session}{action}");
    let ask = |credential: &str, method: &str, path: &str, body: &Value| curl(&server, credential, method, path, body);
    assert_eq!(ask(key, "POST", "/v1/sessions", &two_players(&id(1), 3_600_000)).0, 201);
    assert_eq!(ask(key, "POST", &path("/start"), &Value::Null).0, 200);

    for (token, next) in [(&white, 1), (&black, 0), (&white, 1)] {
        let (status, answer) = ask(token, "POST", &path("/switch"), &Value::Null);
        assert_eq!((status, &answer["data"]["active_participant_id"]), (200, &json!(participant(next))), "{answer}");
    }
    let (_, state) = ask(key, "GET", &session, &Value::Null);
    let others = json!({"current_participant_id": participant(1)});
    for (method, path, body, status) in [
        // It is not white's turn.
        ("POST", path("/switch"), Value::Null, 409),
        ("POST", path("/switch"), others, 403),
        ("POST", path("/switch"), json!({"next_participant_id": participant(0)}), 403),
        ("POST", path("/start"), Value::Null, 403),
        ("POST", path("/pause"), Value::Null, 403),
        ("POST", path("/resume"), Value::Null, 403),
        ("POST", path("/complete"), Value::Null, 403),
        ("POST", path("/cancel"), Value::Null, 403),
        ("PATCH", session.clone(), json!({"metadata": {"a": 1}}), 403),
        ("DELETE", session.clone(), Value::Null, 403),
        ("GET", path("/events"), Value::Null, 403),
        ("POST", "/v1/sessions".to_owned(), two_players(&id(3), 60_000), 403),
        ("POST", "/v1/revocations".to_owned(), json!({"sub": "black"}), 403),
        ("GET", "/metrics".to_owned(), Value::Null, 403),
        ("GET", format!("/v1/sessions/{}", id(2)), Value::Null, 403),
        ("GET", session.clone(), Value::Null, 200),
    ] {
        let (found, answer) = ask(&white, method, &path, &body);
        assert_eq!(found, status, "{method} {path}: {answer}");
    }
    for (credential, status) in [(&*stranger, 403), ("", 401), ("synk_backend_guessed", 401)] {
        for (method, path) in [("GET", session.clone()), ("POST", path("/switch"))] {
            let (found, answer) = ask(credential, method, &path, &Value::Null);
            assert_eq!((found, &answer["data"]), (status, &Value::Null), "{method} {path}");
        }
    }
    let (_, after) = ask(key, "GET", &session, &Value::Null);
    assert_eq!(after["data"]["version"], state["data"]["version"], "nothing of that has changed anything");
}
