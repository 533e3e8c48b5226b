//! The seven claims that docs/use/authentication.md shows, each in a token that somebody uses: what it is for works, and what lies
//! beside it is refused.

use serde_json::{Value, json};
use test_support::pages;
use test_support::sessions::id;
use test_support::ws::Client;

use super::{Guarded, ask, backend};

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";
const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

/// The claim that the page shows below the line that begins so.
fn claim(whose: &str) -> Value {
    let page = pages::text("docs/use/authentication.md");
    let (_, examples) = page.split_once("\n## Examples\n").expect("it has examples");
    let (_, rest) = examples.split_once(&format!("\n{whose}")).unwrap_or_else(|| panic!("none is of {whose}"));
    let (_, block) = rest.split_once("```json\n").expect("it is shown");
    let (text, _) = block.split_once("```").expect("it ends");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn session(id: &str) -> Value {
    let participant =
        |n: u64, id: &str| json!({"participant_id": id, "participant_index": n, "total_time_ms": 3_600_000});
    json!({"session_id": id, "sync_mode": "per_participant", "total_time_ms": 7_200_000,
        "participants": [participant(0, ONE), participant(1, TWO)]})
}

/// A server with a session, and what the holder of an example shows to it.
struct Example {
    guarded: Guarded,
    bearer: String,
}

impl Example {
    /// With a session that has started, unless it is left to the holder.
    async fn of(whose: &str, is_started: bool) -> Self {
        let guarded = Guarded::start().await;
        assert_eq!(ask(&guarded.server, &backend(), "POST", "/v1/sessions", &session(ID)).await.status, 201);
        if is_started {
            let path = format!("/v1/sessions/{ID}/start");
            assert_eq!(ask(&guarded.server, &backend(), "POST", &path, &Value::Null).await.status, 200);
        }
        let bearer = guarded.bearer("holder", &claim(whose)["grants"]);
        Self { guarded, bearer }
    }

    async fn asks(&self, method: &str, path: &str, body: Value, status: u16) {
        let answer = ask(&self.guarded.server, &self.bearer, method, path, &body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
    }

    /// Of the session.
    async fn does(&self, action: &str, body: Value, status: u16) {
        self.asks("POST", &format!("/v1/sessions/{ID}/{action}"), body, status).await;
    }

    async fn reads(&self, status: u16) {
        self.asks("GET", &format!("/v1/sessions/{ID}"), Value::Null, status).await;
    }

    async fn changes(&self, body: Value, status: u16) {
        self.asks("PATCH", &format!("/v1/sessions/{ID}"), body, status).await;
    }

    /// Watches the session, and is told what becomes of it.
    async fn watches(&self) -> Client {
        let query = format!("?sessionId={ID}");
        let mut client =
            Client::open_with(self.guarded.server.address(), &query, &[("authorization", &self.bearer)]).await;
        assert_eq!(client.next().await["type"], "CONNECTED");
        assert_eq!(client.next().await["type"], "STATE_SYNC");
        client
    }

    /// None of these is for the holder.
    async fn may_not(&self, actions: &[&str]) {
        for action in actions {
            self.does(action, Value::Null, 403).await;
        }
    }

    /// Nor is anything elsewhere, or of the installation.
    async fn is_nobody_elsewhere(&self) {
        self.asks("GET", &format!("/v1/sessions/{}", id(1)), Value::Null, 403).await;
        self.asks("POST", "/v1/sessions", session(&id(1)), 403).await;
        self.asks("DELETE", &format!("/v1/sessions/{ID}"), Value::Null, 403).await;
        self.asks("GET", "/metrics", Value::Null, 403).await;
        self.asks("POST", "/v1/revocations", json!({"sub": "somebody"}), 403).await;
    }
}

#[tokio::test]
async fn a_chess_player() {
    let player = Example::of("a chess player", true).await;
    player.reads(200).await;
    let mut board = player.watches().await;
    player.does("switch", json!({}), 200).await;
    assert_eq!(board.next_of("STATE_UPDATE").await["state"]["active_participant_id"], TWO);
    player.does("switch", json!({}), 409).await;
    player.does("switch", json!({"current_participant_id": TWO}), 403).await;
    player.may_not(&["start", "pause", "resume", "complete", "cancel"]).await;
    player.changes(json!({"metadata": {}}), 403).await;
    player.is_nobody_elsewhere().await;
}

#[tokio::test]
async fn a_spectator() {
    let spectator = Example::of("a spectator", true).await;
    spectator.reads(200).await;
    let mut seat = spectator.watches().await;
    assert_eq!(seat.order(json!({"type": "SWITCH", "request_id": "a"})).await["status"], 403);
    spectator.may_not(&["start", "pause", "resume", "switch", "complete", "cancel"]).await;
    spectator.changes(json!({"metadata": {}}), 403).await;
    spectator.is_nobody_elsewhere().await;
}

#[tokio::test]
async fn an_arbiter() {
    let arbiter = Example::of("an arbiter", false).await;
    arbiter.reads(200).await;
    arbiter.watches().await;
    for action in ["start", "pause", "resume"] {
        arbiter.does(action, Value::Null, 200).await;
    }
    arbiter.does("switch", json!({"next_participant_id": ONE}), 200).await;
    arbiter.changes(json!({"increment_ms": 1_000}), 200).await;
    // There is no history without an audit.
    arbiter.asks("GET", &format!("/v1/sessions/{ID}/events"), Value::Null, 404).await;
    arbiter.does("complete", Value::Null, 200).await;
    // Another game of the tournament, which may come yet.
    let other = ID.replace("a716", "b716");
    arbiter.asks("GET", &format!("/v1/sessions/{other}"), Value::Null, 404).await;
    arbiter.is_nobody_elsewhere().await;
}

#[tokio::test]
async fn a_backend() {
    let server = Example::of("a backend", true).await;
    server.asks("POST", "/v1/sessions", session(&id(1)), 201).await;
    for action in ["start", "switch", "pause", "resume", "cancel"] {
        server.asks("POST", &format!("/v1/sessions/{}/{action}", id(1)), Value::Null, 200).await;
    }
    server.asks("DELETE", &format!("/v1/sessions/{}", id(1)), Value::Null, 204).await;
    server.watches().await;
    server.asks("GET", "/metrics", Value::Null, 403).await;
    server.asks("POST", "/v1/revocations", json!({"sub": "somebody"}), 403).await;
}

#[tokio::test]
async fn the_host_of_a_quiz() {
    let host = Example::of("the host of a quiz", false).await;
    host.reads(200).await;
    host.watches().await;
    for action in ["start", "pause", "resume"] {
        host.does(action, Value::Null, 200).await;
    }
    host.does("switch", json!({"next_participant_id": TWO}), 200).await;
    host.changes(json!({"metadata": {"question": 2}}), 200).await;
    host.changes(json!({"metadata": {"question": 3}, "increment_ms": 1}), 403).await;
    host.may_not(&["cancel"]).await;
    host.is_nobody_elsewhere().await;
    host.does("complete", Value::Null, 200).await;
}

#[tokio::test]
async fn a_candidate_of_an_exam() {
    let candidate = Example::of("a candidate of an exam", false).await;
    candidate.reads(200).await;
    candidate.watches().await;
    candidate.does("start", Value::Null, 200).await;
    candidate.may_not(&["pause", "resume", "switch", "cancel"]).await;
    candidate.changes(json!({"time_per_cycle_ms": 60_000}), 403).await;
    candidate.is_nobody_elsewhere().await;
    candidate.does("complete", Value::Null, 200).await;
}

#[tokio::test]
async fn two_players_at_one_board() {
    let board = Example::of("two players at one board", true).await;
    board.reads(403).await;
    let mut client = board.watches().await;
    board.does("switch", json!({}), 400).await;
    board.does("switch", json!({"current_participant_id": ONE}), 200).await;
    let press = json!({"type": "SWITCH", "request_id": "a", "current_participant_id": TWO});
    assert_eq!(client.order(press).await["status"], 200);
    board.does("switch", json!({"current_participant_id": ONE, "next_participant_id": ONE}), 403).await;
    board.may_not(&["start", "pause", "resume", "complete", "cancel"]).await;
    board.is_nobody_elsewhere().await;
}
