//! Sets of keys at URLs: how often they are asked for, what counts of an answer, and for how long.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use synckairos::auth::{AuthError, KeyKeeper, KeySources, RemoteSets};
use synckairos::client::ClientAddress;
use synckairos::clock::{Clock, Source};
use test_support::certificates::Authority;
use test_support::directory::Directory;
use test_support::issuer::{Issuer, said, set};
use test_support::server::Server;
use test_support::tokens::{Signer, base64url, claims};
use test_support::wait;

use super::{ask, backend, key, now_s};

const NOW_S: u64 = 1_800_000_000;

/// A machine whose clocks the test sets.
#[derive(Debug, Default)]
struct Machine {
    passed_s: AtomicU64,
}

impl Machine {
    fn pass(&self, seconds: u64) {
        self.passed_s.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Source for Machine {
    fn uptime(&self) -> Duration {
        Duration::from_secs(1_000 + self.passed_s.load(Ordering::SeqCst))
    }

    fn time_of_day(&self) -> Duration {
        Duration::from_secs(NOW_S + self.passed_s.load(Ordering::SeqCst))
    }
}

/// Keys of a file with sets at URLs, on a machine of the test's own.
struct Kept {
    keeper: Arc<KeyKeeper>,
    machine: Arc<Machine>,
    _directory: Directory,
}

fn set_at(id: &str, url: &str) -> Value {
    json!({"id": id, "kind": "jwks", "url": url, "issuer": id, "algorithms": ["ES256", "RS256"], "allow": ["*"],
        "sessions": ["*"]})
}

fn written(directory: &Directory, keys: &[Value]) -> KeySources {
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let path = directory.path().join("keys.json");
    std::fs::write(&path, json!({ "keys": keys }).to_string()).expect("it can be written");
    KeySources { keys_file: Some(path), ..KeySources::default() }
}

impl Kept {
    fn new(keys: &[Value], authority: Option<&str>) -> Self {
        let (directory, machine) = (Directory::new(), Arc::new(Machine::default()));
        let sources = written(&directory, keys);
        let clock = Clock::over(Arc::clone(&machine) as _);
        let sets = RemoteSets::new(authority.map(|path| Path::new(path).to_owned()), clock.clone());
        let keeper = KeyKeeper::start(sources, sets, clock, Default::default()).expect("the keys are right");
        Self { keeper: Arc::new(keeper), machine, _directory: directory }
    }

    fn who(&self, token: &str) -> Result<(), AuthError> {
        self.keeper.authenticator().identify(token, ClientAddress::UNIX).map(drop)
    }

    /// A token of an issuer that counts for an hour from now.
    fn token(&self, signer: &Signer, issuer: &str, id: &str) -> String {
        let now_s = NOW_S + self.machine.passed_s.load(Ordering::SeqCst);
        token(signer, issuer, id, now_s + 3_600)
    }
}

fn token(signer: &Signer, issuer: &str, id: &str, expires_s: u64) -> String {
    let mut claims = claims("somebody", expires_s, &json!([{"sessions": ["*"], "allow": ["*"]}]));
    claims["iss"] = json!(issuer);
    signer.token(id, &claims)
}

fn is_unavailable(judged: &Result<(), AuthError>) -> bool {
    matches!(judged, Err(AuthError::Unavailable(_)))
}

#[tokio::test]
async fn a_key_that_left_the_set_counts_no_more_and_the_set_is_read_ahead() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(&set(&[old.jwk("old")])).await;
    let kept = Kept::new(&[set_at("idp", &issuer.url())], None);
    let (of_old, of_new) = (kept.token(&old, "idp", "old"), kept.token(&new, "idp", "new"));
    assert!(is_unavailable(&kept.who(&of_old)), "nothing is known yet");
    kept.keeper.read_due_sets().await;
    assert_eq!(kept.who(&of_old), Ok(()));
    assert!(matches!(kept.who(&of_new), Err(AuthError::UnknownKey(_))));
    assert_eq!(kept.keeper.troubles(), Vec::<String>::new());

    issuer.says(&set(&[new.jwk("new")]));
    kept.machine.pass(599);
    kept.keeper.read_due_sets().await;
    assert_eq!((issuer.asked(), kept.who(&of_old)), (1, Ok(())), "it is not due");
    kept.machine.pass(1);
    kept.keeper.read_due_sets().await;
    assert_eq!((issuer.asked(), kept.who(&of_new)), (2, Ok(())));
    assert!(kept.who(&of_old).is_err(), "what was verified before is judged anew");
}

#[tokio::test]
async fn a_set_that_was_on_its_way_before_a_key_was_there_is_asked_for_again() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(&set(&[old.jwk("old")])).await;
    let kept = Kept::new(&[set_at("idp", &issuer.url())], None);
    kept.keeper.read_due_sets().await;
    kept.machine.pass(600);
    issuer.is_silent(true);
    let of_new = kept.token(&new, "idp", "new");
    let authenticator = Arc::clone(kept.keeper.authenticator());
    let client = async {
        wait::until("the set is on its way", async || issuer.asked() == 2).await;
        issuer.says(&set(&[old.jwk("old"), new.jwk("new")]));
        let release = async { issuer.is_silent(false) };
        tokio::join!(biased; authenticator.identify_in_time(&of_new, ClientAddress::UNIX), release).0
    };
    let identified = tokio::select! {
        biased;
        () = kept.keeper.keep_sets() => panic!("it ends with the server"),
        identified = client => identified,
    };
    assert!(identified.is_ok(), "{identified:?}");
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test]
async fn its_server_says_how_long_a_set_is_true_within_bounds() {
    let body = json!({"keys": []}).to_string();
    for (header, period_s) in [
        ("cache-control: max-age=1\r\n", 60),
        ("cache-control: no-store\r\n", 60),
        ("cache-control: public, max-age=900\r\n", 900),
        ("cache-control: max-age=86400\r\n", 3_600),
        ("", 600),
    ] {
        let issuer = Issuer::start(&said(header, &body)).await;
        let kept = Kept::new(&[set_at("idp", &issuer.url())], None);
        kept.keeper.read_due_sets().await;
        kept.machine.pass(period_s - 1);
        kept.keeper.read_due_sets().await;
        assert_eq!(issuer.asked(), 1, "{header}");
        kept.machine.pass(1);
        kept.keeper.read_due_sets().await;
        assert_eq!(issuer.asked(), 2, "{header}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_asked_again_and_its_keys_count_for_a_day() {
    let signer = Signer::es256();
    let issuer = Issuer::start("HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n").await;
    let kept = Kept::new(&[set_at("idp", &issuer.url())], None);
    kept.keeper.read_due_sets().await;
    assert!(is_unavailable(&kept.who(&kept.token(&signer, "idp", "a"))), "away at the start");
    assert!(kept.keeper.troubles()[0].contains("503"), "{:?}", kept.keeper.troubles());
    issuer.says(&set(&[signer.jwk("a")]));
    kept.machine.pass(30);
    kept.keeper.read_due_sets().await;
    assert_eq!(kept.who(&kept.token(&signer, "idp", "a")), Ok(()));

    let address = issuer.address;
    drop(issuer);
    for (passed_s, counts) in [(3_600, true), (23 * 3_600 - 1, true), (1, false), (3_600, false)] {
        kept.machine.pass(passed_s);
        kept.keeper.read_due_sets().await;
        kept.keeper.look();
        let judged = kept.who(&kept.token(&signer, "idp", "a"));
        assert_eq!((judged.is_ok(), is_unavailable(&judged)), (counts, !counts), "{passed_s} s later");
        assert_eq!(kept.keeper.troubles().len(), 1);
    }
    let _back = Issuer::start_at(address, &set(&[signer.jwk("a")])).await;
    kept.machine.pass(30);
    kept.keeper.read_due_sets().await;
    assert_eq!(kept.who(&kept.token(&signer, "idp", "a")), Ok(()));
}

#[tokio::test]
async fn an_answer_that_is_not_a_set_changes_nothing() {
    let (rsa, es) = (Signer::rs256(), Signer::es256());
    let issuer = Issuer::start(&set(&[es.jwk("a")])).await;
    let kept = Kept::new(&[set_at("idp", &issuer.url())], None);
    kept.keeper.read_due_sets().await;
    let mut private = rsa.jwk("b");
    private["d"] = json!("AQ");
    let weak = json!({"kty": "RSA", "n": base64url(&[0xff; 128]), "e": "AQAB", "kid": "weak"});
    let many: Vec<_> = (0..101).map(|n| es.jwk(&n.to_string())).collect();
    let elsewhere = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", issuer.url());
    for (answer, told) in [
        (elsewhere, "redirects are not followed"),
        (said("", &" ".repeat(300 * 1_024)), "longer than 256 KiB"),
        (format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(300 * 1_024)), "longer than 256 KiB"),
        (said("content-encoding: gzip\r\n", "x"), "compressed"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}".to_owned(), "broke off"),
        ("SSH-2.0-x\r\n".to_owned(), "no answer"),
        (said("", "{"), "not a JSON object"),
        (set(&many), "keys"),
        (set(&[es.jwk("b"), json!({"kty": "oct", "k": "AQ", "kid": "c"})]), "a secret does not belong here"),
        (set(&[private]), "a private key"),
        (set(&[es.jwk("b"), rsa.jwk("b")]), "two keys have the id b"),
        (set(&[weak]), "2048 to 8192"),
    ] {
        issuer.says(&answer);
        kept.machine.pass(600);
        kept.keeper.read_due_sets().await;
        let troubles = kept.keeper.troubles();
        assert!(troubles.len() == 1 && troubles[0].contains(told), "{told}: {troubles:?}");
        assert_eq!(kept.who(&kept.token(&es, "idp", "a")), Ok(()), "{told}");
    }
    // What is for something else is passed over.
    let mut for_secrets = rsa.jwk("enc");
    for_secrets["use"] = json!("enc");
    let mut other = rsa.jwk("other");
    other["alg"] = json!("PS512");
    let unknown = json!({"kty": "AKP", "kid": "new"});
    issuer.says(&set(&[for_secrets, other, unknown, rsa.jwk("b")]));
    kept.machine.pass(600);
    kept.keeper.read_due_sets().await;
    assert_eq!(kept.keeper.troubles(), Vec::<String>::new());
    assert_eq!(kept.who(&kept.token(&rsa, "idp", "b")), Ok(()));
    for id in ["enc", "other", "a"] {
        assert!(kept.who(&kept.token(&rsa, "idp", id)).is_err(), "{id}");
    }
}

#[tokio::test]
async fn an_issuer_shows_a_certificate_that_is_believed() {
    let (signer, authority) = (Signer::es256(), Authority::new());
    let issuer = Issuer::encrypted(&set(&[signer.jwk("a")]), &authority.certify("127.0.0.1")).await;
    let wrong_name = Issuer::encrypted(&set(&[signer.jwk("a")]), &authority.certify("id.example")).await;
    let stranger = Issuer::encrypted(&set(&[signer.jwk("a")]), &Authority::new().certify("127.0.0.1")).await;
    let keys =
        [set_at("good", &issuer.url()), set_at("wrong-name", &wrong_name.url()), set_at("stranger", &stranger.url())];
    let kept = Kept::new(&keys, Some(&authority.file()));
    kept.keeper.read_due_sets().await;
    assert_eq!(kept.who(&kept.token(&signer, "good", "a")), Ok(()));
    for bad in ["wrong-name", "stranger"] {
        assert!(is_unavailable(&kept.who(&kept.token(&signer, bad, "a"))), "{bad}");
    }
    assert_eq!(kept.keeper.troubles().len(), 2);
    assert!(kept.keeper.troubles().iter().all(|trouble| trouble.contains("TLS: ")), "{:?}", kept.keeper.troubles());
}

#[test]
fn what_no_set_may_be_asked_for_is_refused_at_the_start() {
    for (url, told) in [
        ("http://id.example/jwks.json", "only this machine"),
        ("http://10.0.0.1/jwks.json", "only this machine"),
        ("https://u:p@id.example/", "a user or a password"),
        ("ftp://id.example/", "must begin with https://"),
        ("https://id.example/#x", "characters"),
    ] {
        let problems = written(&Directory::new(), &[set_at("idp", url)]).load().expect_err(url);
        assert!(problems[0].starts_with("KEYS_FILE: keys.0.url: ") && problems[0].contains(told), "{problems:?}");
    }
}

#[tokio::test]
async fn addresses_that_clouds_keep_credentials_at_are_never_asked() {
    for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "0.0.0.0"] {
        let kept = Kept::new(&[set_at("idp", &format!("https://{host}/jwks.json"))], None);
        kept.keeper.read_due_sets().await;
        let troubles = kept.keeper.troubles();
        assert!(troubles[0].contains("no address that may be asked"), "{host}: {troubles:?}");
    }
}

/// A server with keys at a URL.
async fn server_with(keys: &[Value], directory: &Directory) -> Server {
    let sources = written(directory, keys);
    let path = sources.keys_file.expect("it was written");
    Server::start_with(&[("KEYS_FILE", path.to_str().expect("it is text"))]).await
}

async fn status(server: &Server, token: &str) -> u16 {
    ask(server, &format!("Bearer {token}"), "GET", "/v1/time", &Value::Null).await.status
}

#[tokio::test]
async fn a_key_that_is_new_is_asked_for_once_by_all_and_then_not_for_a_while() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let issuer = Issuer::start(&set(&[old.jwk("old")])).await;
    let directory = Directory::new();
    let server = server_with(&[key("backend"), set_at("idp", &issuer.url())], &directory).await;
    let until = now_s() + 600;
    assert_eq!(status(&server, &token(&old, "idp", "old", until)).await, 200, "the first waits for the set");
    issuer.says(&set(&[old.jwk("old"), new.jwk("new")]));
    let of_new = token(&new, "idp", "new", until);
    assert_eq!(status(&server, &of_new).await, 200, "it waits until the set was read again");
    assert_eq!(issuer.asked(), 2);
    let mut connection = server.connect().await;
    for n in 0..1_000 {
        let bearer = format!("Bearer {}", token(&old, "idp", &format!("random-{n}"), until));
        let answer = connection.ask_with("GET", "/v1/time", &[("authorization", &bearer)], "").await;
        assert_eq!((answer.status, answer.code()), (401, "INVALID_TOKEN".to_owned()));
    }
    assert_eq!(issuer.asked(), 2, "whatever they name, the set is not asked for again");
    assert_eq!(status(&server, &token(&old, "another", "old", until)).await, 401, "nobody's issuer");
}

#[tokio::test]
async fn an_issuer_that_is_slow_harms_its_own_tokens_alone() {
    let signer = Signer::es256();
    let (slow, quick) = (Issuer::start(&set(&[signer.jwk("a")])).await, Issuer::start(&set(&[signer.jwk("a")])).await);
    slow.is_silent(true);
    let directory = Directory::new();
    let keys = [key("backend"), set_at("slow", &slow.url()), set_at("quick", &quick.url())];
    let server = server_with(&keys, &directory).await;
    let until = now_s() + 600;
    assert_eq!(status(&server, &token(&signer, "quick", "a", until)).await, 200);
    wait::until("the slow one was asked", async || slow.asked() == 1).await;
    let bearer = format!("Bearer {}", token(&signer, "slow", "a", until));
    let answer = ask(&server, &bearer, "GET", "/v1/time", &Value::Null).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    let ready = ask(&server, &backend(), "GET", "/ready", &Value::Null).await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")), "{ready:?}");
    slow.is_silent(false);
    let of_slow = token(&signer, "slow", "a", until);
    wait::until("its keys have come", async || status(&server, &of_slow).await == 200).await;
    let ready = ask(&server, &backend(), "GET", "/ready", &Value::Null).await;
    assert_eq!(ready.json()["status"], "ready");
}
