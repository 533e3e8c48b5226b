//! Keys that change while the server runs: those that are gone count no more, all others go on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use serde_json::{Value, json};
use test_support::directory::Directory;
use test_support::server::Server;
use test_support::sessions::id;
use test_support::tokens::{Signer, api_key, claims};
use test_support::wait;
use test_support::ws::Client;

use super::{Guarded, ask, backend, key, now_s, signing_key};

async fn status(guarded: &Guarded, bearer: &str) -> u16 {
    ask(&guarded.server, bearer, "GET", "/v1/time", &Value::Null).await.status
}

#[tokio::test]
async fn a_key_that_is_gone_counts_no_more_on_any_connection() {
    let guarded = Guarded::start().await;
    let grants = json!([{"sessions": ["*"], "allow": ["*"]}]);
    let token = guarded.bearer("somebody", &grants);
    let mut with_token = guarded.server.connect().await;
    let mut with_key = guarded.server.connect().await;
    let key_bearer = backend();
    assert_eq!(with_token.ask_with("GET", "/v1/time", &[("authorization", &token)], "").await.status, 200);
    assert_eq!(with_key.ask_with("GET", "/v1/time", &[("authorization", &key_bearer)], "").await.status, 200);

    // The new key comes, and the old one goes: nobody of either is refused while theirs is there.
    let new = Signer::hs256(8);
    let new_token = format!("Bearer {}", new.token("k2", &claims("somebody", now_s() + 600, &grants)));
    let old = signing_key("k1", &guarded.signer);
    guarded.write(&json!({"keys": [key("backend"), old, signing_key("k2", &new)]}));
    assert_eq!(with_token.ask_with("GET", "/v1/time", &[("authorization", &token)], "").await.status, 200);
    assert_eq!(status(&guarded, &new_token).await, 200);
    guarded.write(&json!({"keys": [key("backend"), signing_key("k2", &new)]}));
    assert_eq!(with_token.ask_with("GET", "/v1/time", &[("authorization", &token)], "").await.status, 401);
    assert_eq!(status(&guarded, &token).await, 401);
    assert_eq!(status(&guarded, &new_token).await, 200);
    assert_eq!(with_key.ask_with("GET", "/v1/time", &[("authorization", &key_bearer)], "").await.status, 200);
    guarded.write(&json!({"keys": []}));
    assert_eq!(with_key.ask_with("GET", "/v1/time", &[("authorization", &key_bearer)], "").await.status, 401);
}

#[tokio::test]
async fn what_is_wrong_changes_nothing_and_is_told() {
    let guarded = Guarded::start().await;
    let path = guarded.directory.path().join("keys.json");
    let right = std::fs::read_to_string(&path).expect("it can be read");
    let bearer = backend();
    for (n, wrong) in
        ["", "{", &right[..right.len() / 2], &right[..right.len() / 3], r#"{"keys":[{}]}"#].into_iter().enumerate()
    {
        std::fs::write(&path, wrong).expect("it can be written");
        // Each counts once, however often it is looked at.
        for _ in 0..3 {
            guarded.server.reload();
        }
        assert_eq!(status(&guarded, &bearer).await, 200, "{wrong}");
        let told = ask(&guarded.server, &bearer, "GET", "/ready", &Value::Null).await;
        assert_eq!((told.status, &told.json()["status"]), (200, &json!("degraded")), "{told:?}");
        let cause = &told.json()["causes"][0];
        assert_eq!(cause["component"], "keys");
        assert!(cause["error"].as_str().is_some_and(|error| error.contains("KEYS_FILE: ")), "{cause}");
        let stranger = guarded.server.connect().await.ask("GET", "/ready", "").await;
        assert_eq!(stranger.json(), json!({"status": "degraded", "error": "degraded", "causes": []}));
        let metrics = ask(&guarded.server, &bearer, "GET", "/metrics", &Value::Null).await.body;
        let count = format!("synckairos_auth_reload_failures_total {}", n + 1);
        assert!(metrics.contains(&count), "{metrics}");
    }
    std::fs::remove_file(&path).expect("it is there");
    guarded.server.reload();
    guarded.server.reload();
    let metrics = ask(&guarded.server, &bearer, "GET", "/metrics", &Value::Null).await.body;
    assert!(metrics.contains("synckairos_auth_reload_failures_total 6"), "{metrics}");
    assert_eq!(status(&guarded, &bearer).await, 200, "there is none");
    std::fs::write(&path, right).expect("it can be written");
    guarded.server.reload();
    let ready = ask(&guarded.server, &bearer, "GET", "/ready", &Value::Null).await;
    assert_eq!(ready.json()["status"], "ready");
}

/// Secrets that stand in files of their own are no other.
#[tokio::test]
async fn a_file_of_one_secret_that_is_wrong_changes_nothing_and_is_told() {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let (key, signer) = (api_key("backend").0, Signer::hs256(9));
    for (setting, right) in [("API_KEY", key.clone()), ("TOKEN_SECRET", signer.secret())] {
        let path = directory.path().join(setting);
        std::fs::write(&path, &right).expect("it can be written");
        let of_file = format!("{setting}_FILE");
        let mut settings = vec![(&*of_file, path.to_str().expect("it is text")), ("TOKEN_ALLOW", "read")];
        if setting != "API_KEY" {
            settings.push(("API_KEY", &key));
        }
        let server = Server::start_with(&settings).await;
        let ready = async || ask(&server, &backend(), "GET", "/ready", &Value::Null).await.json();
        assert_eq!(ready().await["status"], "ready");
        for (n, wrong) in [Some("short"), None, Some(" ")].into_iter().enumerate() {
            match wrong {
                Some(text) => std::fs::write(&path, text).expect("it can be written"),
                None => std::fs::remove_file(&path).expect("it is there"),
            }
            server.reload();
            server.reload();
            let told = ready().await;
            assert_eq!(told["status"], "degraded", "{setting} {wrong:?}: {told}");
            let error = told["causes"][0]["error"].as_str().expect("it is told why");
            assert!(error.contains(&format!("{setting}: ")) && !error.contains(&right), "{error}");
            let metrics = ask(&server, &backend(), "GET", "/metrics", &Value::Null).await.body;
            let count = format!("synckairos_auth_reload_failures_total {}\n", n + 1);
            assert!(metrics.contains(&count), "{setting} {wrong:?}: {metrics}");
        }
        std::fs::write(&path, &right).expect("it can be written");
        server.reload();
        assert_eq!(ready().await["status"], "ready", "{setting}");
    }
}

#[tokio::test]
async fn clients_of_a_key_that_is_gone_are_closed_and_others_stay() {
    let guarded = Guarded::start().await;
    let grants = json!([{"sessions": ["*"], "allow": ["watch"]}]);
    let query = format!("?sessionId={}", id(1));
    let address = guarded.server.address();
    let token = guarded.bearer("somebody", &grants);
    let mut gone = Client::open_with(address, &query, &[("authorization", &token)]).await;
    let mut stays = Client::open_with(address, &query, &[("authorization", &backend())]).await;
    assert_eq!(gone.next().await["type"], "CONNECTED");
    assert_eq!(stays.next().await["type"], "CONNECTED");
    guarded.write(&json!({"keys": [key("backend")]}));
    let close = gone.closed().await;
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4401, "Token revoked"));
    stays.say(json!({"type": "PING"})).await;
    assert_eq!(stays.next().await["type"], "PONG");
}

/// A secret's mount in Kubernetes is a link to a link, which is swapped.
#[tokio::test]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_file_is_looked_at_by_itself_also_behind_links() {
    let guarded = Guarded::start().await;
    let directory = guarded.directory.path();
    let path = directory.join("keys.json");
    for (name, id) in [("one", "backend"), ("two", "other")] {
        let inside = directory.join(name);
        std::fs::create_dir(&inside).expect("it can be made");
        std::fs::write(inside.join("keys.json"), json!({"keys": [key(id)]}).to_string()).expect("it can be written");
    }
    let (data, swapped) = (directory.join("..data"), directory.join("..next"));
    std::os::unix::fs::symlink("one", &data).expect("it can be made");
    std::fs::remove_file(&path).expect("it is there");
    std::os::unix::fs::symlink("..data/keys.json", &path).expect("it can be made");
    let other = format!("Bearer {}", api_key("other").0);
    assert_eq!(status(&guarded, &other).await, 401);
    std::os::unix::fs::symlink("two", &swapped).expect("it can be made");
    std::fs::rename(&swapped, &data).expect("it can be swapped");
    wait::until("the other key counts", async || status(&guarded, &other).await == 200).await;
    assert_eq!(status(&guarded, &backend()).await, 401);
}

/// Whether a key is among those that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Presence {
    Gone,
    Changing,
    There,
}

/// A key that comes and goes while clients of it ask on.
struct RotatedKey {
    id: &'static str,
    signer: Signer,
    presence: Mutex<Presence>,
    /// Requests that were judged.
    asked: AtomicUsize,
}

impl RotatedKey {
    fn new(id: &'static str, byte: u8, presence: Presence) -> Self {
        Self { id, signer: Signer::hs256(byte), presence: Mutex::new(presence), asked: AtomicUsize::new(0) }
    }

    fn is_now(&self, presence: Presence) {
        *self.presence.lock().expect("nobody panics with it") = presence;
    }

    /// Asks until it is told to stop; each answer is as the key is there or not, unless that changes meanwhile.
    async fn ask_on(&self, server: &Server, expires_s: u64, is_over: &AtomicBool) {
        let token = self.signer.token(self.id, &claims("somebody", expires_s, &json!([])));
        let bearer = format!("Bearer {token}");
        let mut connection = server.connect().await;
        while !is_over.load(Relaxed) {
            let before = *self.presence.lock().expect("nobody panics with it");
            let answer = connection.ask_with("GET", "/v1/time", &[("authorization", &bearer)], "").await;
            let after = *self.presence.lock().expect("nobody panics with it");
            match (before, after) {
                (Presence::There, Presence::There) => assert_eq!(answer.status, 200, "{}: {answer:?}", self.id),
                (Presence::Gone, Presence::Gone) => assert_eq!(answer.status, 401, "{}: {answer:?}", self.id),
                (Presence::Gone | Presence::Changing | Presence::There, _) => {}
            }
            let asked = self.asked.fetch_add(1, Relaxed);
            if answer.status == 401 || asked.is_multiple_of(16) {
                connection = server.connect().await;
            }
        }
    }

    /// Waits until clients have asked for a while.
    async fn is_asked_on(&self) {
        let until = self.asked.load(Relaxed) + 100;
        wait::until("clients ask on", async || self.asked.load(Relaxed) >= until).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seconds; tests/run runs it"]
async fn a_rotation_under_load_refuses_nobody_whose_key_is_there_and_takes_nobody_elses() {
    let guarded = Guarded::start().await;
    let keys = [RotatedKey::new("one", 1, Presence::There), RotatedKey::new("two", 2, Presence::Gone)];
    let listed = |keys: &[&RotatedKey]| {
        let keys: Vec<_> = keys.iter().map(|key| signing_key(key.id, &key.signer)).collect();
        guarded.write(&json!({"keys": keys}));
    };
    listed(&[&keys[0]]);
    let (is_over, expires_s) = (AtomicBool::new(false), now_s() + 600);
    let asking = keys.iter().flat_map(|key| [key; 3]).map(|key| key.ask_on(&guarded.server, expires_s, &is_over));
    let rotation = async {
        for n in 0..6 {
            let (old, new) = (&keys[n % 2], &keys[(n + 1) % 2]);
            old.is_asked_on().await;
            new.is_now(Presence::Changing);
            listed(&[old, new]);
            new.is_now(Presence::There);
            new.is_asked_on().await;
            old.is_asked_on().await;
            old.is_now(Presence::Changing);
            listed(&[new]);
            old.is_now(Presence::Gone);
            old.is_asked_on().await;
        }
        is_over.store(true, Relaxed);
    };
    tokio::join!(futures_util::future::join_all(asking), rotation);
}
