//! The file of keys: what may stand in it, and what is said of what may not.

use std::path::Path;

use serde_json::{Value, json};
use synckairos::auth::{Action, AuthError, Authenticator, KeySources, Permission, permit};
use synckairos::client::ClientAddress;
use synckairos::clock::Clock;
use synckairos::engine::{SessionId, Timestamp, Uuid};
use synckairos::secret::SecretSource;
use test_support::directory::Directory;
use test_support::tokens::{Signer, api_key, base64url, claims};

const NOW_S: u64 = 1_800_000_000;
const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

fn session() -> SessionId {
    SessionId(Uuid::parse(ID).expect("it is a UUID"))
}

fn in_directory(run: impl FnOnce(&Path)) {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    run(directory.path());
}

fn sources(directory: &Path, text: &str) -> KeySources {
    let path = directory.join("keys.json");
    std::fs::write(&path, text).expect("it can be written");
    KeySources { keys_file: Some(path), ..KeySources::default() }
}

fn authenticator(sources: &KeySources) -> Authenticator {
    let keys = sources.load().expect("the keys are right");
    Authenticator::new(keys, Clock::manual(Timestamp::from_ms(NOW_S * 1_000)))
}

fn who(authenticator: &Authenticator, credential: &str) -> Result<String, AuthError> {
    authenticator.identify(credential, ClientAddress::UNIX).map(|identity| identity.name().to_string())
}

#[test]
fn whatever_is_wrong_is_told_with_its_place_and_without_its_value() {
    let (_, sha256) = api_key("backend");
    let api = json!({"id": "backend", "kind": "api", "sha256": sha256, "allow": ["*"], "sessions": ["*"]});
    let but = |name: &str, value: Value| {
        let mut key = api.clone();
        key[name] = value;
        json!({"keys": [key]}).to_string()
    };
    let without = |name: &str| {
        let mut key = api.clone();
        key.as_object_mut().expect("it is one").remove(name);
        json!({"keys": [key]}).to_string()
    };
    let secret = |text: &str| {
        let key = json!({"id": "k", "kind": "hs256", "secret": text, "allow": [], "sessions": []});
        json!({"keys": [key]}).to_string()
    };
    let public = |jwk: Value| {
        let key = json!({"id": "k", "kind": "jwk", "jwk": jwk, "issuer": "i", "allow": [], "sessions": []});
        json!({"keys": [key]}).to_string()
    };
    let rsa = |bytes: usize| json!({"kty": "RSA", "n": base64url(&vec![0xff; bytes]), "e": "AQAB"});
    let default = |id: &str| json!({"id": id, "kind": "hs256", "secret": Signer::hs256(1).secret(), "allow": [], "sessions": [], "default": true});
    in_directory(|directory| {
        for (text, told) in [
            (String::new(), "it is empty"),
            ("{".to_owned(), "not a JSON object"),
            ("[]".to_owned(), "not a JSON object"),
            ("{}".to_owned(), "keys: missing"),
            (r#"{"keys":[],"keys":[]}"#.to_owned(), "keys: given twice"),
            (r#"{"keys":[],"key":[]}"#.to_owned(), "key: unknown member"),
            (r#"{"keys":[],"leeway_s":301}"#.to_owned(), "leeway_s: Must be at most 300"),
            (r#"{"keys":[1]}"#.to_owned(), "keys.0.not a JSON object"),
            (without("allow"), "keys.0.allow: missing"),
            (without("sessions"), "keys.0.sessions: missing"),
            (without("sha256"), "keys.0.sha256: missing"),
            (without("kind"), "keys.0.kind: missing"),
            (but("kind", json!("rsa")), "keys.0.kind: Must be one of api, hs256, jwk, jwks"),
            (but("id", json!("Backend")), "keys.0.id: Must be 1 to 32 of a to z"),
            (but("id", json!("")), "keys.0.id: "),
            (but("sha256", json!("abc")), "keys.0.sha256: must be 64"),
            (but("sessions", json!(["*", "abc"])), "keys.0.sessions.1: must be a UUID"),
            (but("allow", json!("*")), "keys.0.allow: Expected array"),
            (but("secret", json!("x")), "keys.0.secret: unknown member"),
            (but("not_after", json!("tomorrow")), "keys.0.not_after: Must be seconds"),
            (json!({"keys": [api, api]}).to_string(), "keys.1.id: backend is given twice"),
            (secret(&base64url(&[7; 31])), "keys.0.secret: must be 32 bytes or more, has 31"),
            (secret("not base64url!"), "keys.0.secret: must be base64url"),
            (public(rsa(128)), "keys.0.jwk.n: must have 2048 to 8192 bits, has 1024"),
            (public(rsa(1_025)), "keys.0.jwk.n: must have 2048 to 8192 bits"),
            (public(json!({"kty": "oct", "k": "AQ"})), "keys.0.jwk.kty: a secret"),
            (public(json!({"kty": "OKP", "crv": "Ed25519", "x": "AQ"})), "keys.0.jwk.x: must be 32 bytes"),
            (public(json!({"kty": "OKP", "crv": "X25519", "x": "AQ"})), "keys.0.jwk.kty: must be"),
            (public(json!({"kty": "RSA", "n": "AQ", "e": "AQAB", "d": "AQ"})), "keys.0.jwk.a private key"),
            (public(json!({"kty": "RSA", "n": "AQ", "e": "AQAB", "use": "enc"})), "keys.0.jwk.use: must be sig"),
            (public(json!({"kty": "RSA", "n": "AQ", "e": "AQAB", "key_ops": ["sign"]})), "keys.0.jwk.key_ops"),
            (json!({"keys": [default("a"), default("b"), default("c")]}).to_string(), "keys.2.default: 2 other keys"),
        ] {
            let problems = sources(directory, &text).load().expect_err(&text);
            assert!(problems[0].starts_with("KEYS_FILE: ") && problems[0].contains(told), "{text}: {problems:?}");
            assert!(!problems[0].contains("not base64url!"), "{problems:?}");
        }
        let mut issuerless =
            json!({"id": "k", "kind": "jwk", "jwk": Signer::es256().jwk("k"), "allow": [], "sessions": []});
        let problems = sources(directory, &json!({"keys": [issuerless]}).to_string()).load().expect_err("no issuer");
        assert!(problems[0].contains("keys.0.issuer: missing"), "{problems:?}");
        issuerless["kind"] = json!("jwks");
        let none = KeySources { keys_file: Some(directory.join("nowhere")), ..KeySources::default() };
        assert!(none.load().expect_err("there is none")[0].contains("nowhere"));
    });
}

#[test]
fn a_token_that_names_no_key_is_of_one_of_two() {
    let entry = |id: &str, byte: u8, is_default: bool| json!({"id": id, "kind": "hs256", "secret": Signer::hs256(byte).secret(), "default": is_default, "allow": ["*"], "sessions": ["*"]});
    let file = json!({"keys": [entry("old", 1, true), entry("new", 2, true), entry("other", 3, false)]});
    in_directory(|directory| {
        let authenticator = authenticator(&sources(directory, &file.to_string()));
        let claims = claims("somebody", NOW_S + 60, &json!([])).to_string();
        for (byte, counts) in [(1, true), (2, true), (3, false), (4, false)] {
            let token = Signer::hs256(byte).token_of(br#"{"alg":"HS256"}"#, claims.as_bytes());
            assert_eq!(who(&authenticator, &token).is_ok(), counts, "{byte}");
        }
    });
}

#[test]
fn a_key_counts_whole_from_its_beginning_to_its_end() {
    let key = |id: &str, not_before: Value, not_after: Value| {
        let mut key = json!({"id": id, "kind": "api", "sha256": api_key(id).1, "allow": ["read"], "sessions": ["*"]});
        for (name, value) in [("not_before", not_before), ("not_after", not_after)] {
            if !value.is_null() {
                key[name] = value;
            }
        }
        key
    };
    let now = json!(NOW_S);
    let file = json!({"keys": [
        key("always", json!(null), json!(null)),
        key("begins", now.clone(), json!(null)),
        key("future", json!(NOW_S + 1), json!(null)),
        key("ends", json!(null), json!("2027-01-15T08:00:01Z")),
        key("past", json!(null), now),
    ]});
    in_directory(|directory| {
        let authenticator = authenticator(&sources(directory, &file.to_string()));
        for (id, counts) in [("always", true), ("begins", true), ("future", false), ("ends", true), ("past", false)] {
            let (key, _) = api_key(id);
            assert_eq!(who(&authenticator, &key).is_ok(), counts, "{id}");
            for wrong in [&key[..key.len() - 1], &format!("{key}A"), &key.to_uppercase(), &key.replace(id, "other")] {
                assert!(matches!(who(&authenticator, wrong), Err(AuthError::Invalid(_))), "{wrong}");
            }
        }
        let (always, _) = api_key("always");
        let (begins, _) = api_key("begins");
        let secret_of = |key: &str| key.rsplit_once('_').expect("it has parts").1.to_owned();
        let mixed = format!("synk_always_{}", secret_of(&begins));
        assert!(who(&authenticator, &mixed).is_err(), "another key's secret");
        assert_eq!(who(&authenticator, &always), Ok("key:always".to_owned()));
    });
}

#[test]
fn a_key_is_the_ceiling_of_what_it_signs() {
    let hs = Signer::hs256(3);
    let file = json!({"keys": [{"id": "k", "kind": "hs256", "secret": hs.secret(), "allow": ["read", "watch", "metrics"],
        "sessions": ["550e8400*"]}]});
    in_directory(|directory| {
        let authenticator = authenticator(&sources(directory, &file.to_string()));
        let token =
            hs.token("k", &claims("a", NOW_S + 60, &json!([{"sessions": ["*"], "allow": ["*", "metrics", "admin"]}])));
        let identity = authenticator.identify(&token, ClientAddress::UNIX).expect("it is one");
        let may = |permission| permit(&identity, session(), Action::Use(permission)).is_ok();
        assert!(may(Permission::Read) && may(Permission::Watch));
        assert!(!may(Permission::Switch) && !may(Permission::Metrics) && !may(Permission::Admin));
        let elsewhere = SessionId(Uuid::from_bits(1));
        assert!(permit(&identity, elsewhere, Action::Use(Permission::Read)).is_err());
    });
}

#[test]
fn short_forms_need_no_file() {
    let (key, _) = api_key("one");
    let (hs, es) = (Signer::hs256(4), Signer::es256());
    let given = |text: &str| Some(SecretSource::given(text));
    in_directory(|directory| {
        let set = directory.join("jwks.json");
        let unused = json!({"kty": "EC", "crv": "secp256k1", "x": "AQ", "y": "AQ", "kid": "unused"});
        std::fs::write(&set, json!({"keys": [es.jwk("es-1"), unused]}).to_string()).expect("it can be written");
        let sources = KeySources {
            api_key: given(&key),
            token_secret: given(&hs.secret()),
            token_jwks: Some(set.to_str().expect("it is text").to_owned()),
            token_allow: vec!["read".to_owned()],
            token_issuer: Some("https://id.example".to_owned()),
            ..KeySources::default()
        };
        let authenticator = authenticator(&sources);
        assert_eq!(who(&authenticator, &key), Ok("key:one".to_owned()));
        let mut claims = claims("a", NOW_S + 60, &json!([{"sessions": ["*"], "allow": ["*"]}]));
        assert!(who(&authenticator, &hs.token("token-secret", &claims)).is_err(), "nobody signed it");
        claims["iss"] = json!("https://id.example");
        for token in [hs.token("token-secret", &claims), es.token("es-1", &claims)] {
            let identity = authenticator.identify(&token, ClientAddress::UNIX).expect("it is one");
            let may = |permission| permit(&identity, session(), Action::Use(permission)).is_ok();
            assert!(may(Permission::Read) && !may(Permission::Delete));
        }
        for (wrong, told) in [
            (KeySources { api_key: given("hunter2"), ..KeySources::default() }, "API_KEY: must be synk_"),
            (KeySources { token_secret: given("hunter2"), ..KeySources::default() }, "TOKEN_SECRET: secret: must be"),
            (KeySources { token_issuer: None, ..sources.clone() }, "TOKEN_ISSUER: missing"),
            (KeySources { token_jwks: Some("/nowhere".to_owned()), ..sources }, "TOKEN_JWKS: /nowhere"),
        ] {
            let problems = wrong.load().expect_err(told);
            assert!(problems[0].starts_with(told) && !problems[0].contains("hunter2"), "{problems:?}");
            assert!(!format!("{wrong:?}").contains("hunter2"));
        }
    });
}
