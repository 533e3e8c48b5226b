//! WebSockets of pages, in Chromium: what a page can show, what it is told, and what it can read of why it must go.

use std::time::Duration;

use serde_json::{Value, json};

use test_support::chromium::{Chromium, Page};
use test_support::http::Answer;
use test_support::keys::{KeysFile, backend};
use test_support::server::Server;
use test_support::sessions::{id, participant, two_players};
use test_support::site::Site;
use test_support::wait;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes down what becomes of a WebSocket. A token that is about to end is renewed with what `next` is.
const FOLLOW: &str = r#"
    window.follow = (url, token, next) => {
        const told = [];
        const socket = new WebSocket(url, ["synckairos.v1", "bearer." + token]);
        socket.onopen = () => told.push({type: "open", protocol: socket.protocol});
        socket.onclose = ({code, reason}) => told.push({type: "close", code, reason});
        socket.onmessage = ({data}) => {
            const message = JSON.parse(data);
            told.push(message);
            if (message.type === "TOKEN_EXPIRING") socket.send(JSON.stringify({type: "AUTH", token: next}));
        };
        window.socket = socket;
        window.told = told;
    };
"#;

/// A server with keys, a page that may speak with it, and the browser that shows it.
struct Visit {
    browser: Chromium,
    page: Page,
    server: Server,
    keys: KeysFile,
    site: Site,
}

impl Visit {
    async fn begin() -> Self {
        let (site, keys) = (Site::start().await, KeysFile::new(&json!({"leeway_s": 0})));
        let (path, origin) = (keys.path(), site.origin("127.0.0.1"));
        let server = Server::start_with(&[("KEYS_FILE", &path), ("CORS_ORIGIN", &origin)]).await;
        let mut browser = Chromium::start().await;
        let page = browser.open(&format!("{origin}/")).await;
        let visit = Self { browser, page, server, keys, site };
        for (path, body) in [("", two_players(&id(1), 3_600_000)), (&*format!("/{}/start", id(1)), Value::Null)] {
            let answer = visit.ask("POST", &format!("/v1/sessions{path}"), &body).await;
            assert!(answer.status < 300, "{answer:?}");
        }
        visit
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.server.connect().await.ask_with(method, path, &[("authorization", &backend())], &body).await
    }

    fn player(&self, lifetime_s: u64) -> String {
        let grants = json!([{"sessions": [id(1)], "as": [participant(0)], "allow": ["watch", "switch:own"]}]);
        self.keys.token("player", 60, lifetime_s, &grants)
    }

    /// The page opens a WebSocket with a token, and has another one for when that ends.
    async fn follow(&mut self, token: &str, next: &str) {
        let url = format!("ws://{}/ws?sessionId={}", self.server.address(), id(1));
        let script = format!("{FOLLOW}; follow({}, {}, {})", json!(url), json!(token), json!(next));
        self.browser.run(&self.page, &script).await;
    }

    /// All that became of it, when something of a type has.
    async fn told(&mut self, kind: &str) -> Vec<Value> {
        let (mut told, browser, page) = (Vec::new(), &mut self.browser, &self.page);
        wait::within(PATIENCE, kind, async || {
            told = browser.run(page, "told").await.as_array().cloned().unwrap_or_default();
            told.iter().any(|one| one["type"] == kind)
        })
        .await;
        told
    }

    /// The close that a page reads.
    async fn closed(&mut self, token: &str) -> (u64, String) {
        self.follow(token, "").await;
        let told = self.told("close").await;
        let close = told.last().expect("there is one");
        (close["code"].as_u64().expect("a code"), close["reason"].as_str().expect("a text").to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_its_token_in_a_subprotocol_and_renews_it_in_place() {
    let mut visit = Visit::begin().await;
    // Long enough for a browser on a machine that is busy.
    let (first, second) = (visit.player(12), visit.player(600));
    visit.follow(&first, &second).await;
    let told = visit.told("AUTHENTICATED").await;
    assert_eq!(told[0], json!({"type": "open", "protocol": "synckairos.v1"}));
    assert_eq!(told[1]["type"], "CONNECTED");
    let place = |kind| told.iter().position(|one| one["type"] == kind).unwrap_or_else(|| panic!("no {kind}: {told:?}"));
    let (expiring, renewed) = (&told[place("TOKEN_EXPIRING")], &told[place("AUTHENTICATED")]);
    assert_eq!(expiring["expires_at"], told[1]["expires_at"]);
    assert!(renewed["expires_at"].as_str() > expiring["expires_at"].as_str(), "{told:?}");

    // The first token is over, and its connection is not.
    let bearer = format!("Bearer {first}");
    wait::until("the first token has ended", async || {
        let answer = visit.server.connect().await.ask_with("GET", "/v1/time", &[("authorization", &bearer)], "").await;
        answer.status == 401 && answer.code() == "TOKEN_EXPIRED"
    })
    .await;
    let switch = r#"socket.send(JSON.stringify({type: "SWITCH", request_id: "1"}))"#;
    visit.browser.run(&visit.page, switch).await;
    let told = visit.told("RESULT").await;
    let result = told.iter().find(|one| one["type"] == "RESULT").expect("it was waited for");
    assert_eq!((&result["status"], &result["request_id"]), (&json!(200), &json!("1")), "{result}");
    assert!(told.iter().all(|one| one["type"] != "close"), "{told:?}");

    // A page reads that it needs another token.
    assert_eq!(visit.ask("POST", "/v1/revocations", &json!({"sub": "player"})).await.status, 201);
    let told = visit.told("close").await;
    let close = told.last().expect("it was waited for");
    assert_eq!((&close["code"], &close["reason"]), (&json!(4401), &json!("Token revoked")));
    assert_eq!(visit.closed(&second).await, (4401, "Token revoked".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reads_why_its_token_does_not_count() {
    let mut visit = Visit::begin().await;
    let reading = visit.keys.token("player", 60, 600, &json!([{"sessions": ["*"], "allow": ["read"]}]));
    let over = visit.player(0);
    for (token, code, reason) in
        [("nonsense", 4501, "Not authenticated"), (&*reading, 4503, "Forbidden"), (&over, 4401, "Token expired")]
    {
        assert_eq!(visit.closed(token).await, (code, reason.to_owned()), "{token}");
    }
    // Another site's page is refused before it may show anything.
    let token = visit.player(600);
    visit.page = visit.browser.open(&format!("{}/", visit.site.origin("localhost"))).await;
    assert_eq!(visit.closed(&token).await, (1006, String::new()));
}
