//! `switch:own`: a player ends their own turns, and no others.

use serde_json::{Value, json};
use test_support::sessions::{id, participant, two_players};
use test_support::wait;
use test_support::ws::Client;

use super::{Guarded, ask, backend};

const HOUR: u64 = 3_600_000;

async fn begin(guarded: &Guarded, id: &str) {
    ask(&guarded.server, &backend(), "POST", "/v1/sessions", &two_players(id, HOUR)).await;
    ask(&guarded.server, &backend(), "POST", &format!("/v1/sessions/{id}/start"), &Value::Null).await;
}

fn player(guarded: &Guarded, participants: &[String]) -> String {
    let grants = json!([{"sessions": [id(1)], "as": participants, "allow": ["read", "watch", "switch:own"]}]);
    guarded.bearer("player", &grants)
}

#[tokio::test]
async fn a_player_switches_in_turn_and_nothing_else() {
    let guarded = Guarded::start().await;
    begin(&guarded, &id(1)).await;
    let [one, two] = [0, 1].map(|n| player(&guarded, &[participant(n)]));
    let path = format!("/v1/sessions/{}", id(1));
    let switch = async |bearer: &str, body: Value| {
        let answer = ask(&guarded.server, bearer, "POST", &format!("{path}/switch"), &body).await;
        (answer.status, answer.json()["data"]["active_participant_id"].clone())
    };
    assert_eq!(switch(&two, json!({})).await.0, 409, "it is not their turn");
    assert_eq!(switch(&one, json!({"current_participant_id": participant(1)})).await.0, 403);
    assert_eq!(switch(&one, json!({"next_participant_id": participant(0)})).await.0, 403, "nor to themselves");
    assert_eq!(switch(&one, json!({"next_participant_id": participant(1)})).await.0, 403);
    assert_eq!(switch(&one, json!({})).await, (200, participant(1).into()));
    assert_eq!(switch(&one, json!({})).await.0, 409, "the turn is over");
    assert_eq!(switch(&two, json!({"current_participant_id": participant(1)})).await, (200, participant(0).into()));
    for (method, action) in
        [("POST", "/pause"), ("POST", "/complete"), ("DELETE", ""), ("PATCH", ""), ("GET", "/events")]
    {
        let answer = ask(&guarded.server, &one, method, &format!("{path}{action}"), &json!({})).await;
        assert_eq!(answer.status, 403, "{method} {action}");
    }
    let stranger = guarded.bearer("stranger", &json!([{"sessions": [id(2)], "allow": ["*"]}]));
    assert_eq!(ask(&guarded.server, &stranger, "GET", &path, &Value::Null).await.status, 403);
}

#[tokio::test]
async fn two_players_at_one_board_say_whose_turn_ends() {
    let guarded = Guarded::start().await;
    begin(&guarded, &id(1)).await;
    let both = player(&guarded, &[participant(0), participant(1)]);
    let nobody = player(&guarded, &[]);
    let path = format!("/v1/sessions/{}/switch", id(1));
    let answer = ask(&guarded.server, &both, "POST", &path, &json!({})).await;
    assert_eq!((answer.status, &*answer.code()), (400, "VALIDATION_ERROR"), "{answer:?}");
    assert_eq!(answer.json()["error"]["details"][0]["field"], "current_participant_id");
    let named = json!({"current_participant_id": participant(0)});
    assert_eq!(ask(&guarded.server, &nobody, "POST", &path, &named).await.status, 403, "forgetting `as` never widens");
    assert_eq!(ask(&guarded.server, &both, "POST", &path, &named).await.status, 200);
    let other = json!({"current_participant_id": participant(7)});
    assert_eq!(ask(&guarded.server, &both, "POST", &path, &other).await.status, 403);
}

/// A thousand presses, of both at once.
#[tokio::test]
async fn presses_in_a_race_end_no_turn_of_the_other() {
    let guarded = Guarded::start().await;
    begin(&guarded, &id(1)).await;
    let players = [0, 1].map(|n| player(&guarded, &[participant(n)]));
    let path = format!("/v1/sessions/{}/switch", id(1));
    let mut ended = [0, 0];
    for _ in 0..10 {
        let presses = (0..100).map(|n| ask(&guarded.server, &players[n % 2], "POST", &path, &Value::Null));
        let answers = futures_util::future::join_all(presses).await;
        assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status)), "{answers:?}");
        for (n, answer) in answers.iter().enumerate() {
            ended[n % 2] += usize::from(answer.status == 200);
        }
    }
    let state = ask(&guarded.server, &backend(), "GET", &format!("/v1/sessions/{}", id(1)), &Value::Null).await;
    let turns = [0, 1].map(|n| state.json()["data"]["participants"][n]["cycle_count"].as_u64());
    assert_eq!(turns, ended.map(|count| Some(count as u64)), "each has ended as many turns as were theirs");
    assert!(ended[0] >= 1 && ended[0].abs_diff(ended[1]) <= 1, "{ended:?}");
}

/// A window lasts a second: whether one falls into another's, nobody is refused.
#[tokio::test]
async fn presses_count_by_participant() {
    let guarded = Guarded::start_with(&[("RATE_LIMIT_SWITCH", "1")], &json!({})).await;
    begin(&guarded, &id(1)).await;
    let [one, two] = [0, 1].map(|n| player(&guarded, &[participant(n)]));
    let path = format!("/v1/sessions/{}/switch", id(1));
    for (bearer, body) in [
        (&one, json!({})),
        (&two, json!({"current_participant_id": participant(1)})),
        // Who may end any turn uses up no player's.
        (&backend(), json!({})),
    ] {
        let answer = ask(&guarded.server, bearer, "POST", &path, &body).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, Some("0")), "{answer:?}");
    }
    // Two at one board count as the one whose turn it is, and as the same player elsewhere.
    begin(&guarded, &id(2)).await;
    let grants = |n: &[u64]| json!([{"sessions": [id(2)], "as": n.iter().map(|n| participant(*n)).collect::<Vec<_>>(), "allow": ["switch:own", "watch"]}]);
    let [one, both] = [("one", &[0][..]), ("both", &[0, 1])].map(|(who, n)| guarded.bearer(who, &grants(n)));
    let query = format!("?sessionId={}", id(2));
    let mut board = Client::open_with(guarded.server.address(), &query, &[("authorization", &both)]).await;
    for n in [0, 1] {
        let press = json!({"type": "SWITCH", "request_id": "a", "current_participant_id": participant(n)});
        assert_eq!(board.order(press).await["status"], 200, "{n}");
    }
    let path = format!("/v1/sessions/{}/switch", id(2));
    wait::until("two presses of one player fall into one window", async || {
        let named = json!({"current_participant_id": participant(0)});
        ask(&guarded.server, &both, "POST", &path, &named).await;
        let answer = ask(&guarded.server, &one, "POST", &path, &Value::Null).await;
        let is_limited = answer.status == 429 && answer.header("ratelimit-limit") == Some("1");
        ask(&guarded.server, &backend(), "POST", &path, &json!({"next_participant_id": participant(0)})).await;
        is_limited
    })
    .await;
}

#[tokio::test]
async fn the_refused_presses_of_one_do_not_lock_out_the_other() {
    let guarded = Guarded::start_with(&[("RATE_LIMIT_SWITCH", "10")], &json!({})).await;
    begin(&guarded, &id(1)).await;
    let [one, two] = [0, 1].map(|n| player(&guarded, &[participant(n)]));
    let path = format!("/v1/sessions/{}/switch", id(1));
    let forbidden = json!({"current_participant_id": participant(0)});
    for body in [json!({}), forbidden] {
        for _ in 0..15 {
            let answer = ask(&guarded.server, &two, "POST", &path, &body).await;
            assert!([403, 409, 429].contains(&answer.status), "{answer:?}");
        }
    }
    assert_eq!(ask(&guarded.server, &one, "POST", &path, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn what_is_forbidden_counts_in_no_limit_of_the_session() {
    let guarded = Guarded::start_with(&[("RATE_LIMIT_SWITCH", "10")], &json!({})).await;
    begin(&guarded, &id(1)).await;
    let [one, two] = [0, 1].map(|n| player(&guarded, &[participant(n)]));
    let watching = guarded.bearer("player", &json!([{"sessions": [id(1)], "allow": ["watch", "read"]}]));
    let path = format!("/v1/sessions/{}/switch", id(1));
    let to_oneself = json!({"next_participant_id": participant(0)});
    let of_the_other = json!({"current_participant_id": participant(1)});
    for (bearer, body) in [(&one, &to_oneself), (&one, &of_the_other), (&watching, &Value::Null)] {
        for _ in 0..15 {
            let answer = ask(&guarded.server, bearer, "POST", &path, body).await;
            assert_eq!((answer.status, answer.header("ratelimit-remaining")), (403, None), "{body}");
        }
    }
    let late = ask(&guarded.server, &two, "POST", &path, &Value::Null).await;
    assert_eq!((late.status, late.header("ratelimit-remaining")), (409, Some("10")), "nor as refused: {late:?}");
    let answer = ask(&guarded.server, &one, "POST", &path, &Value::Null).await;
    assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, Some("9")), "{answer:?}");
}
