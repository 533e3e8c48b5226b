//! From a request to a row, and how history is read back.

use serde_json::{Value, json};
use synckairos::redis::QueueKey;

use test_support::http::Connection;
use test_support::metrics::value as series;
use test_support::sessions::{id, participant, two_players};
use test_support::tokens::api_key;
use test_support::wait;

use super::rig::Rig;

const HOUR: u64 = 3_600_000;

super::on_one_and_on_many!(
    every_change_has_its_row_and_its_place_in_history,
    a_row_says_who_asked_for_its_change,
    clients_do_not_notice_that_the_database_is_away,
    every_accepted_request_can_be_audited,
    what_is_deleted_while_it_runs_ends_as_cancelled,
    an_orderly_stop_under_load_leaves_no_lease_behind_and_loses_nothing,
);

async fn a_row_says_who_asked_for_its_change(rig: Rig) {
    let (key, _) = api_key("back-end");
    let guarded = rig.instance(&[("API_KEY", &key)]).await;
    let mut client = Connection::open(guarded.address).await;
    let bearer = format!("Bearer {key}");
    let authorized = [("Authorization", &*bearer)];
    let created = client.ask_with("POST", "/v1/sessions", &authorized, &two_players(&id(1), 1_000).to_string()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/v1/sessions/{}", id(1));
    assert_eq!(client.ask_with("POST", &format!("{path}/start"), &authorized, "").await.status, 200);
    wait::until("its clock has run out", async || {
        client.ask_with("GET", &path, &authorized, "").await.json()["data"]["status"] == "expired"
    })
    .await;
    rig.drained().await;
    let rows = rig.rows("select event_type, actor from audit_events order by version").await;
    let told: Vec<_> = rows.iter().map(|row| (row["event_type"].as_str(), row["actor"].as_str())).collect();
    let key = Some("key:back-end");
    assert_eq!(told, [(Some("session_created"), key), (Some("session_started"), key), (Some("session_expired"), None)]);
    let history = client.ask_with("GET", &format!("{path}/events"), &authorized, "").await.json();
    let told: Vec<_> = (0..3).map(|n| history["data"][n]["actor"].as_str()).collect();
    assert_eq!(told, [key, key, None], "{history}");
}

async fn every_change_has_its_row_and_its_place_in_history(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    let path = format!("/v1/sessions/{}", id(1));
    let mut body = two_players(&id(1), HOUR);
    body["metadata"] = json!({"table": 7, "empty": null});
    client.create(&body).await;
    client.post(&id(1), "start", &Value::Null).await;
    client.post(&id(1), "switch", &Value::Null).await;
    let state = client.post(&id(1), "pause", &Value::Null).await;
    rig.drained().await;

    let rows = rig.rows("select * from audit_events order by version").await;
    let told: Vec<_> = rows.iter().map(|row| row["event_type"].as_str().unwrap_or_default()).collect();
    assert_eq!(told, ["session_created", "session_started", "cycle_switched", "session_paused"]);
    assert_eq!(rows[3]["state_snapshot"], state, "the state is the one that clients saw");
    assert_eq!(rows[2]["participant_id"], participant(0));
    assert_eq!(rows[2]["cycle_number"], 1);
    let session = &rig.rows("select * from audit_sessions").await[0];
    assert_eq!(
        (&session["version"], &session["total_cycles"], &session["final_status"]),
        (&4.into(), &1.into(), &Value::Null)
    );
    assert_eq!(session["metadata"], body["metadata"]);
    assert_eq!(rig.number("select count(*) from sync_participants where first_active_at is not null").await, 2);

    let page = client.ask("GET", &format!("{path}/events?limit=3"), "").await;
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    let versions = |page: &Value| -> Vec<u64> {
        page["data"].as_array().expect("a list").iter().filter_map(|change| change["version"].as_u64()).collect()
    };
    assert_eq!((versions(&page), &page["has_more"]), (vec![1, 2, 3], &true.into()));
    let next = page["next"].as_str().expect("a cursor");
    let rest = client.ask("GET", &format!("{path}/events?after={next}"), "").await.json();
    assert_eq!((versions(&rest), &rest["has_more"]), (vec![4], &false.into()));
    assert_eq!(rest["data"][0]["state"], state);
    assert_eq!(rest.get("queued"), None, "all is written");
    let end = rest["next"].as_str().expect("a cursor");
    let nothing = client.ask("GET", &format!("{path}/events?after={end}"), "").await.json();
    assert_eq!((versions(&nothing), nothing["next"].as_str()), (vec![], Some(end)), "what comes is after it");
    let unknown = client.ask("GET", &format!("/v1/sessions/{}/events", id(2)), "").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "SESSION_NOT_FOUND"));

    assert_eq!(client.ask("DELETE", &path, "").await.status, 204);
    rig.drained().await;
    let last = &rig.rows("select * from sync_events order by version desc limit 1").await[0];
    assert_eq!((&last["event_type"], &last["version"]), (&"session_deleted".into(), &5.into()));
    assert_eq!(rig.number("select count(*) from sync_sessions where deleted_at is not null and version = 5").await, 1);
    let mut metrics = String::new();
    wait::until("what is queued is counted", async || {
        metrics = client.ask("GET", "/metrics", "").await.body;
        series(&metrics, "synckairos_db_write_queue_size") == 0.0
            && series(&metrics, "synckairos_audit_queue_bytes") == 0.0
    })
    .await;
    assert_eq!(series(&metrics, "synckairos_audit_written_total"), 5.0);
    assert_eq!(
        rig.operate(&["queue", "stats"]).await,
        (Some(0), "waiting 0\nheld 0\ndelayed 0\ndead 0\nbytes 0\noldest none\n".to_owned())
    );
    assert_eq!(rig.operate(&["migrate"]).await, (Some(0), "the schema is up to date\n".to_owned()));
}

async fn clients_do_not_notice_that_the_database_is_away(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    rig.drained().await;
    rig.postgres(|postgres| postgres.stop()).await;
    client.post(&id(1), "start", &Value::Null).await;
    for _ in 0..50 {
        client.post(&id(1), "switch", &Value::Null).await;
    }
    wait::until("it is told", async || {
        let ready = client.ask("GET", "/ready", "").await;
        assert_eq!(ready.status, 200);
        ready.json()["status"] == "degraded"
    })
    .await;
    let metrics = client.ask("GET", "/metrics", "").await.body;
    assert_eq!(series(&metrics, "synckairos_audit_database_away"), 1.0);
    let history = client.ask("GET", &format!("/v1/sessions/{}/events", id(1)), "").await;
    assert_eq!((history.status, history.code().as_str()), (503, "UNAVAILABLE"));
    let unknown = client.ask("GET", &format!("/v1/sessions/{}", id(9)), "").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (503, "UNAVAILABLE"), "perhaps it is only lost");
    rig.postgres(|postgres| postgres.start_again()).await;
    rig.drained().await;
    assert_eq!(rig.number("select count(distinct version) from sync_events").await, 52);
    wait::until("it is told", async || client.ask("GET", "/ready", "").await.json()["status"] == "ready").await;
    assert_eq!(rig.number("select count(*) from sync_events").await, 52, "none twice");
}

async fn what_is_deleted_while_it_runs_ends_as_cancelled(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    for (n, before) in [(1, &["start"][..]), (2, &["start", "pause"]), (3, &[]), (4, &["start", "complete"])] {
        client.create(&two_players(&id(n), HOUR)).await;
        let mut last = client.read(&id(n)).await;
        for action in before {
            last = client.post(&id(n), action, &Value::Null).await;
        }
        assert_eq!(client.ask("DELETE", &format!("/v1/sessions/{}", id(n)), "").await.status, 204);
        rig.drained().await;
        let own = format!("session_id = '{}'", id(n));
        let told = rig.rows(&format!("select * from audit_events where {own} order by version desc limit 1")).await;
        let (deleted, state) = (&told[0], &told[0]["state_snapshot"]);
        assert_eq!((&deleted["event_type"], &deleted["version"]), (&json!("session_deleted"), &state["version"]));
        assert_eq!(state["version"].as_u64(), last["version"].as_u64().map(|version| version + 1));
        // Whatever had ended before stays as it ended.
        let expected = if n == 4 { "completed" } else { "cancelled" };
        assert_eq!((&state["status"], &state["deadline_at"]), (&json!(expected), &Value::Null), "{state}");
        assert!(state["session_completed_at"].is_string() && state["active_participant_id"].is_null(), "{state}");
        let session = rig.rows(&format!("select * from audit_sessions where {own}")).await;
        assert_eq!((&session[0]["status"], &session[0]["final_status"]), (&json!(expected), &json!(expected)));
        let session = rig.rows(&format!("select final_status, completed_at from v1_sessions where {own}")).await;
        assert_eq!(session[0]["final_status"], expected, "as its readers before us know it");
        assert_eq!(session[0]["completed_at"].is_null(), n != 4, "{session:?}");
        let told = format!("select state_snapshot ->> 'status' as status from v1_events where {own}");
        assert_eq!(rig.rows(&told).await.len(), before.len() + 1, "which were told nothing of a deletion");
    }
}

async fn every_accepted_request_can_be_audited(rig: Rig) {
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(99), "]".repeat(99));
    let long = format!("{{\"a\":{}}}", "9".repeat(300));
    let odd = [
        r#"{"a":1e308,"b":1e-308,"c":-0,"d":1E+2}"#,
        r#"{"a":1e-9999,"b":0.00000000000000000000000000000001}"#,
        r#"{"a":1e-20000}"#,
        r#"{"a":0e20000}"#,
        r#"{"a":1e-400000000000}"#,
        r#"{"a":"\ud83d\ude00 \u001f \"","":null,"a":2}"#,
        &nested,
        &long,
    ];
    let mut accepted = 0;
    for (n, metadata) in odd.iter().enumerate() {
        let body = format!(
            r#"{{"session_id":"{}","sync_mode":"global","total_time_ms":86400000,"metadata":{metadata},"participants":[{{"participant_id":"{}","participant_index":9007199254740991,"total_time_ms":86400000}}]}}"#,
            id(n as u64),
            participant(0)
        );
        let answer = client.ask("POST", "/v1/sessions", &body).await;
        match answer.status {
            201 => accepted += 1,
            400 => assert_eq!(answer.code(), "VALIDATION_ERROR", "{answer:?}"),
            _ => panic!("{answer:?}"),
        }
    }
    assert!(accepted >= 4, "{accepted} were accepted");
    wait::until("all is written or put aside", async || {
        let said = rig.operate(&["queue", "stats"]).await.1;
        said.contains("waiting 0\nheld 0\n")
    })
    .await;
    let said = rig.operate(&["queue", "dead"]).await.1;
    assert_eq!(said, "");
    assert_eq!(rig.queued(QueueKey::Delayed), 0);
    assert_eq!(rig.number("select count(*) from sync_events").await, accepted);
}

async fn an_orderly_stop_under_load_leaves_no_lease_behind_and_loses_nothing(rig: Rig) {
    const CLIENTS: u64 = 8;
    let mut instance = rig.instance(&[]).await;
    let mut clients = tokio::task::JoinSet::new();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..CLIENTS {
        let (mut client, tell) = (Connection::open(instance.address).await, tell.clone());
        client.create(&two_players(&id(n), HOUR)).await;
        client.post(&id(n), "start", &Value::Null).await;
        clients.spawn(async move {
            let mut acknowledged = 2;
            while let Some(answer) = client.try_ask("POST", &format!("/v1/sessions/{}/switch", id(n))).await {
                assert_eq!(answer.status, 200, "{answer:?}");
                acknowledged += 1;
                let _ = tell.send(());
            }
            acknowledged
        });
    }
    for _ in 0..500 {
        told.recv().await.expect("there is load");
    }
    instance.signal("TERM");
    assert_eq!(instance.ended().await, Some(0));
    let mut acknowledged = 0;
    while let Some(client) = clients.join_next().await {
        acknowledged += client.expect("the client ends well");
    }
    assert_eq!(rig.queued(QueueKey::Lease), 0);
    let _other = rig.instance(&[]).await;
    rig.drained().await;
    assert_eq!(rig.number("select count(*) from sync_events").await, acknowledged);
}

/// With TLS on every way nothing goes in the clear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_encrypted_is() {
    let rig = Rig::start_encrypted().await;
    let instance = rig.instance(&[]).await;
    let mut client = Connection::open(instance.address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    rig.drained().await;
    let own = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'synckairos'";
    let connections = rig.rows(own).await;
    assert!(!connections.is_empty() && connections.iter().all(|row| row["ssl"] == true), "{connections:?}");
}
