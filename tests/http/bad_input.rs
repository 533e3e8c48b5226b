//! Bad input: each gets the error of the contract, in JSON; no session changes, and the server goes on.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use test_support::http::{Answer, Connection};
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};

const HOUR: u64 = 3_600_000;
const MIB: usize = 1 << 20;

/// A server with one running session, and the state that nothing here may change.
struct Witness {
    server: Server,
    client: Connection,
    state: String,
}

impl Witness {
    async fn new() -> Self {
        let server = Server::start().await;
        let mut client = server.connect().await;
        let mut session = two_players(&id(1), HOUR);
        session["metadata"] = json!({"kept": true});
        client.create(&session).await;
        client.post(&id(1), "start", &Value::Null).await;
        let state = client.ask("GET", &path(), "").await.state().to_owned();
        Self { server, client, state }
    }

    /// Asks for something that is refused.
    async fn refused(&mut self, method: &str, path: &str, body: &str, status: u16, code: &str) -> Answer {
        let answer = self.client.ask(method, path, body).await;
        let shown: String = body.chars().take(200).collect();
        self.assert_refusal(&answer, status, code, &format!("{method} {path} {shown}")).await;
        answer
    }

    async fn assert_refusal(&mut self, answer: &Answer, status: u16, code: &str, what: &str) {
        assert_eq!((answer.status, &*answer.code()), (status, code), "{what}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{what}");
        assert!(answer.json()["error"]["message"].is_string(), "{what}: {answer:?}");
        if answer.header("connection") == Some("close") {
            assert!(self.client.is_closed_in_order().await, "{what}");
            self.client = self.server.connect().await;
        }
        assert_eq!(self.client.ask("GET", &path(), "").await.state(), self.state, "{what}");
    }
}

fn path() -> String {
    format!("/v1/sessions/{}", id(1))
}

fn details(answer: &Answer) -> Vec<(String, String)> {
    let error = &answer.json()["error"];
    assert_eq!(error["message"], "Request validation failed", "{answer:?}");
    let details = error["details"].as_array().unwrap_or_else(|| panic!("no details: {answer:?}"));
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    details.iter().map(|detail| (text(&detail["field"]), text(&detail["code"]))).collect()
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let mut witness = Witness::new().await;
    let (path, switch) = (path(), path() + "/switch");
    for body in [
        "{",
        "}",
        "nope",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "[1,]",
        "{} {}",
        "{}x",
        "\"",
        "tru",
        "01",
        "+1",
        "1.",
        ".5",
        "NaN",
        "Infinity",
        "-",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "// {}",
        "\u{feff}{}",
        "\0",
        " ",
        "\r\n",
        "<html>",
        "session_id=1",
    ] {
        for (method, path) in [("POST", "/v1/sessions"), ("PATCH", &path), ("POST", &switch)] {
            let answer = witness.refused(method, path, body, 400, "INVALID_JSON").await;
            assert_eq!(answer.json()["error"].get("details"), None, "{body}");
        }
    }
}

#[tokio::test]
async fn json_that_is_no_object_is_refused() {
    let mut witness = Witness::new().await;
    let (path, switch) = (path(), path() + "/switch");
    for body in ["[]", "[{}]", "null", "true", "1", "-0", "1e999", "\"{}\"", " [ ] "] {
        for (method, path) in [("POST", "/v1/sessions"), ("PATCH", &path), ("POST", &switch)] {
            let answer = witness.refused(method, path, body, 400, "VALIDATION_ERROR").await;
            assert_eq!(details(&answer), [(String::new(), "invalid_type".to_owned())], "{body}");
        }
    }
}

/// Each is one change to a body that would create a session.
#[tokio::test]
async fn a_session_with_a_wrong_field_is_not_created() {
    let mut witness = Witness::new().await;
    let entry = |n: u64| json!({"participant_id": participant(n), "participant_index": n, "total_time_ms": 1_000});
    // Written by hand: of two members with one name the last counts, and some values no library writes.
    let with = |object: Value, field: &str, value: &str| {
        format!("{},\"{field}\":{value}}}", object.to_string().trim_end_matches('}'))
    };
    let participants = |field: &str, value: &str| format!("[{}]", with(entry(0), field, value));
    let many: Vec<_> = (0..1_001).map(entry).collect();
    let duplicate = json!([entry(0), entry(1), {"participant_id": participant(0).to_uppercase(), "participant_index": 2, "total_time_ms": 1_000}]);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(4_089));
    for (field, value, place, code) in [
        ("session_id", "null".to_owned(), "session_id", "invalid_type"),
        ("session_id", "7".to_owned(), "session_id", "invalid_type"),
        ("session_id", "\"\"".to_owned(), "session_id", "invalid_format"),
        ("session_id", "\"00000000-0000-4000-8000-00000000000\"".to_owned(), "session_id", "invalid_format"),
        ("session_id", "\"00000000-0000-4000-7000-000000000002\"".to_owned(), "session_id", "invalid_format"),
        ("session_id", "\"00000000-0000-9000-8000-000000000002\"".to_owned(), "session_id", "invalid_format"),
        ("session_id", "\"{00000000-0000-4000-8000-000000000002}\"".to_owned(), "session_id", "invalid_format"),
        ("session_id", "\"\\u0000\"".to_owned(), "session_id", "invalid_format"),
        ("session_id", "\"\\ud800\"".to_owned(), "session_id", "invalid_format"),
        ("sync_mode", "\"chess\"".to_owned(), "sync_mode", "invalid_value"),
        ("sync_mode", "\"GLOBAL\"".to_owned(), "sync_mode", "invalid_value"),
        ("sync_mode", "null".to_owned(), "sync_mode", "invalid_value"),
        ("sync_mode", "\"global\\u0000\"".to_owned(), "sync_mode", "invalid_value"),
        ("participants", "{}".to_owned(), "participants", "invalid_type"),
        ("participants", "null".to_owned(), "participants", "invalid_type"),
        ("participants", "[]".to_owned(), "participants", "too_small"),
        ("participants", json!(many).to_string(), "participants", "too_big"),
        ("participants", "[[]]".to_owned(), "participants.0", "invalid_type"),
        ("participants", "[null]".to_owned(), "participants.0", "invalid_type"),
        ("participants", duplicate.to_string(), "participants.2.participant_id", "invalid_value"),
        (
            "participants",
            participants("participant_id", "\"\\udfff\""),
            "participants.0.participant_id",
            "invalid_format",
        ),
        ("participants", participants("participant_index", "-1"), "participants.0.participant_index", "too_small"),
        ("participants", participants("participant_index", "0.5"), "participants.0.participant_index", "invalid_type"),
        ("participants", participants("total_time_ms", "999"), "participants.0.total_time_ms", "too_small"),
        ("participants", participants("total_time_ms", "86400001"), "participants.0.total_time_ms", "too_big"),
        ("participants", participants("group_id", "null"), "participants.0.group_id", "invalid_type"),
        ("total_time_ms", "999".to_owned(), "total_time_ms", "too_small"),
        ("total_time_ms", "86400001".to_owned(), "total_time_ms", "too_big"),
        ("total_time_ms", "1e999".to_owned(), "total_time_ms", "too_big"),
        ("total_time_ms", "-1e999".to_owned(), "total_time_ms", "too_small"),
        ("total_time_ms", "60000.5".to_owned(), "total_time_ms", "invalid_type"),
        ("total_time_ms", "\"60000\"".to_owned(), "total_time_ms", "invalid_type"),
        ("total_time_ms", "true".to_owned(), "total_time_ms", "invalid_type"),
        ("time_per_cycle_ms", "null".to_owned(), "time_per_cycle_ms", "invalid_type"),
        ("time_per_cycle_ms", "0".to_owned(), "time_per_cycle_ms", "too_small"),
        ("increment_ms", "-1".to_owned(), "increment_ms", "too_small"),
        ("increment_ms", "60001".to_owned(), "increment_ms", "too_big"),
        ("increment_ms", "0.1".to_owned(), "increment_ms", "invalid_type"),
        ("max_time_ms", "[]".to_owned(), "max_time_ms", "invalid_type"),
        ("max_time_ms", "99999999999999999999".to_owned(), "max_time_ms", "too_big"),
        ("metadata", "[]".to_owned(), "metadata", "invalid_type"),
        ("metadata", "null".to_owned(), "metadata", "invalid_type"),
        ("metadata", large, "metadata", "too_big"),
        ("metadata", deep, "metadata", "too_big"),
        ("metadata", "{\"a\":\"\\u0000\"}".to_owned(), "metadata", "invalid_value"),
        ("metadata", "{\"\\u0000\":1}".to_owned(), "metadata", "invalid_value"),
        ("metadata", "{\"a\":\"\\udc00\\ud800\"}".to_owned(), "metadata", "invalid_value"),
        ("metadata", "{\"\\ud800\":1}".to_owned(), "metadata", "invalid_value"),
        ("metadata", "{\"a\":1e999}".to_owned(), "metadata", "too_big"),
        ("on_timeout", "\"explode\"".to_owned(), "on_timeout", "invalid_value"),
        ("warn_at_ms", "10".to_owned(), "warn_at_ms", "invalid_type"),
        ("warn_at_ms", "[1,2,3,4,5,6,7,8,9]".to_owned(), "warn_at_ms", "too_big"),
        ("warn_at_ms", "[1,0]".to_owned(), "warn_at_ms.1", "too_small"),
        ("groups", "{}".to_owned(), "groups", "invalid_type"),
        (
            "groups",
            json!([{"group_id": participant(7), "total_time_ms": 1_000}]).to_string(),
            "groups.0.group_id",
            "invalid_value",
        ),
    ] {
        let body = with(two_players(&id(2), HOUR), field, &value);
        let answer = witness.refused("POST", "/v1/sessions", &body, 400, "VALIDATION_ERROR").await;
        assert_eq!(details(&answer), [(place.to_owned(), code.to_owned())], "{field}: {value}");
    }
    let missing = witness.client.ask("GET", &format!("/v1/sessions/{}", id(2)), "").await;
    assert_eq!(missing.status, 404, "nothing of it was created");
    assert_eq!(
        witness.client.create(&two_players(&id(2), HOUR)).await["version"],
        1,
        "the body was valid but for that"
    );
}

#[tokio::test]
async fn a_body_has_only_so_many_values() {
    let mut witness = Witness::new().await;
    let session = format!("/v1/sessions/{}", id(1));
    let values = |count: usize| vec!["0"; count].join(",");
    let new = two_players(&id(2), HOUR).to_string();
    let ignored = format!(r#"{{"nobody":[{}],{}"#, values(45_000), &new[1..]);
    let created = witness.client.ask("POST", "/v1/sessions", &ignored).await;
    assert_eq!(created.status, 201, "what is ignored may be long");
    for (method, path) in [("POST", "/v1/sessions"), ("PATCH", &session), ("POST", &format!("{session}/switch"))] {
        for body in [format!(r#"{{"nobody":[{}]}}"#, values(500_000)), "[".repeat(500_000), "[[],".repeat(250_000)] {
            let answer = witness.refused(method, path, &body, 400, "VALIDATION_ERROR").await;
            assert_eq!(details(&answer), [(String::new(), "too_big".to_owned())], "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_problem_is_reported_at_once_in_the_order_of_the_fields() {
    let mut witness = Witness::new().await;
    let all = |fields: &[&str]| -> Vec<(String, String)> {
        fields.iter().filter_map(|field| field.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    };
    let answer = witness.refused("POST", "/v1/sessions", "", 400, "VALIDATION_ERROR").await;
    let required =
        ["session_id", "sync_mode", "participants", "total_time_ms"].map(|field| format!("{field} invalid_type"));
    assert_eq!(details(&answer), all(&required.each_ref().map(|field| &**field)));

    let body = r#"{"groups":1,"warn_at_ms":[0],"on_timeout":1,"metadata":1,"max_time_ms":1,"increment_ms":-1,
        "time_per_cycle_ms":null,"total_time_ms":1,"participants":[{"group_id":1},7],"sync_mode":1,"session_id":1}"#;
    let answer = witness.refused("POST", "/v1/sessions", body, 400, "VALIDATION_ERROR").await;
    let expected = all(&[
        "session_id invalid_type",
        "sync_mode invalid_value",
        "participants.0.participant_id invalid_type",
        "participants.0.participant_index invalid_type",
        "participants.0.total_time_ms invalid_type",
        "participants.0.group_id invalid_type",
        "participants.1 invalid_type",
        "total_time_ms too_small",
        "time_per_cycle_ms invalid_type",
        "increment_ms too_small",
        "max_time_ms too_small",
        "metadata invalid_type",
        "on_timeout invalid_value",
        "warn_at_ms.0 too_small",
        "groups invalid_type",
    ]);
    assert_eq!(details(&answer), expected);
    let modes = "per_participant, per_cycle, per_group, global, count_up";
    let message = answer.json()["error"]["details"][1]["message"].to_string();
    assert!(message.contains(modes), "the message lists the modes: {message}");

    let body = r#"{"next_participant_id":1,"current_participant_id":"x","expected_version":0}"#;
    let answer = witness.refused("POST", "/v1/sessions/1/switch", body, 400, "VALIDATION_ERROR").await;
    let expected = all(&[
        "id invalid_format",
        "next_participant_id invalid_type",
        "current_participant_id invalid_format",
        "expected_version too_small",
    ]);
    assert_eq!(details(&answer), expected);
}

#[tokio::test]
async fn a_patch_with_a_wrong_field_changes_nothing() {
    let mut witness = Witness::new().await;
    for (body, place, code) in [
        (r#"{"status":"completed"}"#, "status", "invalid_value"),
        (r#"{"participants":[]}"#, "participants", "invalid_value"),
        (r#"{"version":9,"increment_ms":1}"#, "version", "invalid_value"),
        (r#"{"increment_ms":60001}"#, "increment_ms", "too_big"),
        (r#"{"increment_ms":1.5}"#, "increment_ms", "invalid_type"),
        (r#"{"time_per_cycle_ms":0}"#, "time_per_cycle_ms", "too_small"),
        (r#"{"max_time_ms":"1000"}"#, "max_time_ms", "invalid_type"),
        (r#"{"on_timeout":"never"}"#, "on_timeout", "invalid_value"),
        (r#"{"warn_at_ms":[86400001]}"#, "warn_at_ms.0", "too_big"),
        (r#"{"metadata":"x"}"#, "metadata", "invalid_type"),
        (r#"{"metadata":{"a":"\u0000"}}"#, "metadata", "invalid_value"),
        (r#"{"\u0000":1}"#, "\0", "invalid_value"),
    ] {
        let answer = witness.refused("PATCH", &path(), body, 400, "VALIDATION_ERROR").await;
        assert_eq!(details(&answer), [(place.to_owned(), code.to_owned())], "{body}");
    }
    let grown = json!({"metadata": {"a": "x".repeat(4_080)}}).to_string();
    let answer = witness.refused("PATCH", &path(), &grown, 400, "VALIDATION_ERROR").await;
    assert_eq!(details(&answer), [("metadata".to_owned(), "too_big".to_owned())], "too large when merged");
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_refused() {
    let mut witness = Witness::new().await;
    let long = "0".repeat(8_000);
    let braced = format!("{{{}}}", id(1));
    for wrong in ["1", "null", "..", "%00", "00000000000040008000000000000001", &id(1)[..35], &braced, &long, "a%2Fb"] {
        for (method, action) in [
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/start"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/switch"),
            ("POST", "/complete"),
            ("POST", "/cancel"),
        ] {
            let path = format!("/v1/sessions/{wrong}{action}");
            let answer = witness.refused(method, &path, "", 400, "VALIDATION_ERROR").await;
            assert_eq!(details(&answer), [("id".to_owned(), "invalid_format".to_owned())], "{path}");
        }
    }
    let answer = witness.refused("PATCH", "/v1/sessions/1", "{", 400, "VALIDATION_ERROR").await;
    assert_eq!(details(&answer), [("id".to_owned(), "invalid_format".to_owned())], "the path before the body");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let mut witness = Witness::new().await;
    for body in
        [&b"\xff\xfe"[..], b"{\"a\":\"\xc3\x28\"}", b"{\"a\":\"\xed\xa0\x80\"}", b"{\"a\":\"\xf5\x80\x80\x80\"}"]
    {
        let head = format!("POST /v1/sessions HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
        witness.client.send(&[head.as_bytes(), body].concat()).await;
        let answer = witness.client.answer(false).await.expect("it is answered");
        witness.assert_refusal(&answer, 400, "INVALID_JSON", &format!("{body:?}")).await;
    }
    for path in [&b"/v1/sessions/\xff\xfe"[..], b"/v1/sessions/\xc3\xa9", b"/\xf0\x9f\x98\x80"] {
        witness.client.send(&[b"GET ", path, b" HTTP/1.1\r\nhost: test\r\n\r\n"].concat()).await;
        let answer = witness.client.answer(false).await.expect("it is answered");
        assert!(matches!(answer.status, 400 | 404), "{path:?}: {answer:?}");
        let (status, code) = (answer.status, answer.code());
        witness.assert_refusal(&answer, status, &code, &format!("{path:?}")).await;
    }
}

/// A body may be nested as deep as it may have values; what is kept of it may not.
#[tokio::test]
async fn deep_nesting_breaks_nothing() {
    let mut witness = Witness::new().await;
    let depth = 49_000;
    let array = "[".repeat(depth) + &"]".repeat(depth);
    let objects = "{\"a\":".repeat(depth / 4) + "1" + &"}".repeat(depth / 4);
    for (body, code) in [
        (array.clone(), "VALIDATION_ERROR"),
        (objects.clone(), "VALIDATION_ERROR"),
        ("[".repeat(depth), "INVALID_JSON"),
        ("{\"a\":".repeat(depth / 4), "INVALID_JSON"),
        (format!("{{\"participants\":{array}}}"), "VALIDATION_ERROR"),
        (format!("{{\"metadata\":{objects}}}"), "VALIDATION_ERROR"),
        (format!("{{\"session_id\":{objects}}}"), "VALIDATION_ERROR"),
    ] {
        witness.refused("POST", "/v1/sessions", &body, 400, code).await;
        witness.refused("PATCH", &path(), &body, 400, code).await;
    }
    let valid = two_players(&id(2), HOUR).to_string();
    let unknown = format!("{{\"unknown\":{array},{}", &valid[1..]);
    assert_eq!(witness.client.ask("POST", "/v1/sessions", &unknown).await.status, 201, "nobody asked for that field");
}

#[tokio::test]
async fn a_body_is_read_whatever_its_type() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (n, kind) in (0..).zip(["text/plain", "application/x-www-form-urlencoded", "image/png", "", "nonsense"]) {
        let body = two_players(&id(n), HOUR).to_string();
        let answer = client.ask_with("POST", "/v1/sessions", &[("Content-Type", kind)], &body).await;
        assert_eq!(answer.status, 201, "{kind}: {answer:?}");
    }
}

#[tokio::test]
async fn transitions_ignore_their_bodies() {
    let mut witness = Witness::new().await;
    for (action, body) in [
        ("pause", "{"),
        ("resume", "\0"),
        ("pause", "[1]"),
        ("resume", "{\"expected_version\":0}"),
        ("complete", "nope"),
        ("cancel", "}"),
    ] {
        let answer = witness.client.ask("POST", &format!("{}/{action}", path()), body).await;
        assert_eq!(answer.status, 200, "{action} {body}: {answer:?}");
    }
    assert_eq!(witness.client.ask("DELETE", &path(), "{").await.status, 204);
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let mut witness = Witness::new().await;
    for encoding in ["gzip", "br", "deflate, gzip", "identity, gzip", "nonsense", ""] {
        for (method, path) in [("POST", "/v1/sessions".to_owned()), ("PATCH", path()), ("POST", path() + "/pause")] {
            let answer = witness.client.ask_with(method, &path, &[("Content-Encoding", encoding)], "{}").await;
            let what = format!("{method} {path} {encoding}");
            witness.assert_refusal(&answer, 415, "UNSUPPORTED_ENCODING", &what).await;
        }
    }
    let answer = witness.client.ask_with("PATCH", &path(), &[("Content-Encoding", "Identity")], "{}").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = witness.client.ask_with("GET", &path(), &[("Content-Encoding", "gzip")], "").await;
    assert_eq!(answer.status, 200, "there is nothing that could be compressed: {answer:?}");
}

/// As it goes over the wire: with its length, or in chunks.
fn request(path: &str, body: &[u8], chunk_len: Option<usize>) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\n");
    let Some(chunk_len) = chunk_len else {
        return [format!("{head}content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
    };
    let mut request = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(chunk_len) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// The client sends all of it before it reads anything, so the server must not hang up on it.
#[tokio::test]
async fn a_body_that_is_too_long_is_refused_readably() {
    let mut witness = Witness::new().await;
    let unknown = format!("/v1/sessions/{}/switch", id(9));
    let large = vec![b' '; 10 * MIB];
    for path in ["/v1/sessions", &unknown] {
        for chunk_len in [None, Some(10 * MIB), Some(65_536), Some(1_000)] {
            witness.client.tcp.write_all(&request(path, &large, chunk_len)).await.expect("the server reads on");
            let answer = witness.client.answer(false).await.expect("it is answered");
            assert_eq!(answer.header("connection"), Some("close"), "what follows is not read");
            witness.assert_refusal(&answer, 413, "PAYLOAD_TOO_LARGE", &format!("{path} {chunk_len:?}")).await;
        }
    }
    for (path, status, code) in [("/nowhere", 404, "NOT_FOUND"), ("/health", 405, "METHOD_NOT_ALLOWED")] {
        for chunk_len in [None, Some(65_536)] {
            witness.client.tcp.write_all(&request(path, &large, chunk_len)).await.expect("the server reads on");
            let answer = witness.client.answer(false).await.expect("it is answered");
            assert_eq!(answer.header("connection"), Some("close"), "what follows is not read");
            witness.assert_refusal(&answer, status, code, &format!("{path} {chunk_len:?}")).await;
        }
    }
}

#[tokio::test]
async fn a_body_may_be_one_mebibyte_and_not_a_byte_more() {
    let mut witness = Witness::new().await;
    for (n, chunk_len) in (10..).zip([None, Some(2 * MIB), Some(100_000), Some(4_096)]) {
        let session = two_players(&id(n), HOUR).to_string();
        let mut body = vec![b' '; MIB - session.len()];
        body.extend_from_slice(session.as_bytes());
        witness.client.send(&request("/v1/sessions", &body, chunk_len)).await;
        let answer = witness.client.answer(false).await.expect("it is answered");
        assert_eq!(answer.status, 201, "{chunk_len:?}: {answer:?}");
        body.push(b' ');
        witness.client.send(&request("/v1/sessions", &body, chunk_len)).await;
        let answer = witness.client.answer(false).await.expect("it is answered");
        witness.assert_refusal(&answer, 413, "PAYLOAD_TOO_LARGE", &format!("{chunk_len:?}")).await;
    }
}

#[tokio::test]
async fn a_thousand_participants_are_welcome() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut session = two_players(&id(1), HOUR);
    let entry = |n: u64| json!({"participant_id": participant(n), "participant_index": 0, "total_time_ms": HOUR});
    session["participants"] = (0..1_000).map(entry).collect();
    let state = client.create(&session).await;
    assert_eq!(state["participants"].as_array().map(Vec::len), Some(1_000));
    client.post(&id(1), "start", &Value::Null).await;
    let switched = client.post(&id(1), "switch", &json!({"next_participant_id": participant(999)})).await;
    assert_eq!(switched["active_participant_id"], participant(999));
}

/// A client that goes away in the middle of a request leaves nothing behind, and what can be answered is.
#[tokio::test]
async fn half_a_request_is_no_request() {
    let mut witness = Witness::new().await;
    let path = path();
    let whole = [
        format!("DELETE {path} HTTP/1.1\r\nhost: test\r\n\r\n"),
        format!("PATCH {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 18\r\n\r\n{{\"increment_ms\":1}}"),
        format!(
            "PATCH {path} HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n12\r\n{{\"increment_ms\":1}}\r\n0\r\n\r\n"
        ),
        format!("POST {path}/pause HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\n12345"),
    ];
    for request in &whole {
        for len in 1..request.len() {
            let mut client = witness.server.connect().await;
            client.send(&request.as_bytes()[..len]).await;
            client.finish().await;
            let answers = client.answers().await;
            let what = &request[..len];
            assert_eq!(answers.len(), 1, "{what:?}: {answers:?}");
            assert_eq!(answers[0].status, 400, "{what:?}: {answers:?}");
            assert_eq!(answers[0].header("connection"), Some("close"), "{what:?}: {answers:?}");
            let in_body = what.contains("\r\n\r\n");
            let code = if in_body { "INVALID_JSON" } else { "BAD_REQUEST" };
            assert_eq!(answers[0].code(), code, "{what:?}: {answers:?}");
        }
    }
    assert_eq!(witness.client.ask("GET", &path, "").await.state(), witness.state);
    for request in &whole {
        let mut client = witness.server.connect().await;
        client.send(request.as_bytes()).await;
        client.finish().await;
        let statuses: Vec<_> = client.answers().await.iter().map(|answer| answer.status).collect();
        assert!(matches!(statuses[..], [200 | 204 | 404]), "the whole of it is one: {request:?} {statuses:?}");
    }
}
