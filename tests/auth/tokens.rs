//! Tokens, well made and badly: a table of what is taken and what is refused.

use serde_json::{Value, json};
use synckairos::auth::{AuthError, Authenticator, KeySources};
use synckairos::client::ClientAddress;
use synckairos::clock::Clock;
use synckairos::engine::Timestamp;
use test_support::directory::Directory;
use test_support::tokens::{Signer, base64url, claims};

use super::public_forms::public_forms;

const NOW_S: u64 = 1_800_000_000;
const FEDERATION: &str = "https://fed.example";
const COMPANY: &str = "https://id.example/";

/// Keys of every kind, and who checks them.
struct Keys {
    hs: Signer,
    other: Signer,
    rs: Signer,
    es: Signer,
    ed: Signer,
    authenticator: Authenticator,
}

impl Keys {
    fn new() -> Self {
        let (hs, other) = (Signer::hs256(1), Signer::hs256(2));
        let (rs, es, ed) = (Signer::rs256(), Signer::es256(), Signer::eddsa());
        let all = json!(["*", "list", "metrics", "admin"]);
        let public = |id: &str, kid: &str, signer: &Signer, issuer: &str| json!({"id": id, "kind": "jwk", "jwk": signer.jwk(kid), "issuer": issuer, "allow": all, "sessions": ["*"]});
        let secret = |id: &str, signer: &Signer, is_default: bool| json!({"id": id, "kind": "hs256", "secret": signer.secret(), "default": is_default, "allow": all, "sessions": ["*"]});
        let file = json!({"keys": [
            secret("k1", &hs, true), secret("k2", &other, false), public("rs", "rs-1", &rs, COMPANY),
            public("es", "same", &es, FEDERATION), public("ed", "same", &ed, COMPANY),
        ]});
        let directory = Directory::new();
        std::fs::create_dir_all(directory.path()).expect("it can be made");
        let path = directory.path().join("keys.json");
        std::fs::write(&path, file.to_string()).expect("it can be written");
        let keys = KeySources { keys_file: Some(path), ..KeySources::default() }.load().expect("the file is right");
        let clock = Clock::manual(Timestamp::from_ms(NOW_S * 1_000));
        Self { hs, other, rs, es, ed, authenticator: Authenticator::new(keys, clock) }
    }

    fn judge(&self, token: &str) -> Result<String, AuthError> {
        let identity = self.authenticator.identify(token, ClientAddress::UNIX);
        identity.map(|identity| identity.name().to_string())
    }

    fn taken(&self, what: &str, token: &str) {
        assert_eq!(self.judge(token), Ok("sub:somebody".to_owned()), "{what}: {token}");
    }

    /// Returns why, for the operator.
    fn refused(&self, what: &str, token: &str) -> String {
        match self.judge(token) {
            Err(AuthError::Invalid(why)) => why,
            other => panic!("{what}: {other:?}: {token}"),
        }
    }
}

/// Claims that all is well with, but for one.
fn but(name: &str, value: Value) -> Value {
    let mut all = good();
    all[name] = value;
    all
}

fn good() -> Value {
    claims("somebody", NOW_S + 600, &json!([{"sessions": ["*"], "allow": ["*"]}]))
}

fn without(name: &str) -> Value {
    let mut all = good();
    all.as_object_mut().expect("it is one").remove(name);
    all
}

/// The claims as text, with a member more than JSON objects have.
fn with_text(member: &str) -> Vec<u8> {
    format!("{},{member}}}", good().to_string().trim_end_matches('}').to_owned() + "}").into_bytes()
}

#[test]
fn each_algorithm_is_taken_from_its_own_key() {
    let keys = Keys::new();
    keys.taken("HS256", &keys.hs.token("k1", &good()));
    keys.taken("HS256, the other key", &keys.other.token("k2", &good()));
    keys.taken("RS256", &keys.rs.token("rs-1", &but("iss", json!(COMPANY))));
    keys.taken("ES256", &keys.es.token("same", &but("iss", json!(FEDERATION))));
    keys.taken("EdDSA", &keys.ed.token("same", &but("iss", json!(COMPANY))));
    let of_default = |header: &str| keys.hs.token_of(header.as_bytes(), good().to_string().as_bytes());
    keys.taken("no kid", &of_default(r#"{"alg":"HS256"}"#));
    keys.taken("at+jwt", &of_default(r#"{"alg":"HS256","typ":"at+jwt","x5t":"abc"}"#));
}

#[test]
fn signatures_that_are_none_are_refused() {
    let keys = Keys::new();
    let claims = good().to_string();
    let sign = |signer: &Signer, header: &str| signer.token_of(header.as_bytes(), claims.as_bytes());
    let company = but("iss", json!(COMPANY));
    let es_claims = but("iss", json!(FEDERATION));
    for alg in ["none", "NoNe", "hs256", "HS384", "HS512", "PS256", "ES384", "ES256K", ""] {
        keys.refused(alg, &sign(&keys.hs, &format!(r#"{{"alg":"{alg}","kid":"k1"}}"#)));
    }
    for header in [r#"{"kid":"k1"}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":"HS256","alg":"HS256"}"#, r#"{"alg":null}"#] {
        keys.refused(header, &sign(&keys.hs, header));
    }
    let none = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(claims.as_bytes()));
    keys.refused("none without a signature", &none);

    // A public key that is used as a secret, in whatever form it is handed out.
    for (kid, claims, jwk) in [("rs-1", &company, keys.rs.jwk("rs-1")), ("same", &es_claims, keys.es.jwk("same"))] {
        for secret in public_forms(&jwk) {
            keys.refused("HS256 with a public key", &Signer::Hs256(secret).token(kid, claims));
        }
    }

    keys.refused("an RSA signature for an EC key", &keys.rs.token("same", &es_claims));
    keys.refused("an EC signature for an RSA key", &keys.es.token("rs-1", &company));
    keys.refused("the other secret", &keys.other.token("k1", &good()));
    keys.refused("a key that is no default", &sign(&keys.other, r#"{"alg":"HS256"}"#));
    keys.refused("another issuer's key of this kid", &keys.ed.token("same", &es_claims));
    keys.refused("another issuer's kid", &keys.es.token("same", &company));

    let message = keys.es.token("same", &es_claims);
    let (message, _) = message.rsplit_once('.').expect("it has parts");
    let der = [&[0x30, 0x44, 0x02, 0x20][..], &[1; 32], &[0x02, 0x20], &[1; 32]].concat();
    for (what, signature) in [("r = s = 0", vec![0; 64]), ("DER", der), ("nothing", Vec::new()), ("half", vec![1; 32])]
    {
        keys.refused(what, &format!("{message}.{}", base64url(&signature)));
    }
}

#[test]
fn spare_bits_padding_and_other_alphabets_are_refused() {
    let keys = Keys::new();
    let token = keys.hs.token("k1", &good());
    let (message, signature) = token.rsplit_once('.').expect("it has parts");
    let last = signature.chars().next_back().expect("it is not empty");
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = ALPHABET.find(last).expect("it is in the alphabet");
    let spare = &ALPHABET[place ^ 1..=place ^ 1];
    let start = &signature[..signature.len() - 1];
    for (what, wrong) in [
        ("spare bits", format!("{start}{spare}")),
        ("truncated", start.to_owned()),
        ("padded", format!("{signature}=")),
        ("another alphabet", format!("+/{}", &signature[2..])),
        ("empty", String::new()),
        ("a line break", format!("{signature}\n")),
    ] {
        keys.refused(what, &format!("{message}.{wrong}"));
    }
    for (what, wrong) in [
        ("five parts", format!("{token}.a.b")),
        ("four parts", format!("{token}.a")),
        ("two parts", message.to_owned()),
        ("no parts", "token".to_owned()),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("a space", format!(" {token}")),
        ("NUL", format!("{token}\0")),
    ] {
        keys.refused(what, &wrong);
    }
}

#[test]
fn headers_that_say_more_are_refused() {
    let keys = Keys::new();
    let claims = good().to_string();
    let sign = |header: &str| keys.hs.token_of(header.as_bytes(), claims.as_bytes());
    for more in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""jwk":{"kty":"oct","k":"AQ"}"#,
        r#""jku":"https://evil.example/keys""#,
        r#""x5u":"https://evil.example/cert""#,
        r#""x5c":["AQ"]"#,
        r#""zip":"DEF""#,
        r#""enc":"A128GCM""#,
        r#""cty":"JWT""#,
        r#""typ":"refresh""#,
        r#""typ":"secevent+jwt""#,
        r#""typ":1"#,
        r#""unknown":1"#,
    ] {
        keys.refused(more, &sign(&format!(r#"{{"alg":"HS256","kid":"k1",{more}}}"#)));
    }
    let long = format!("\"{}\"", "k".repeat(4_096));
    for kid in [
        r#""../../etc/passwd""#,
        r#""' or 1=1""#,
        r#""k1\u0000""#,
        r#""k1\n{\"level\":\"ERROR\"}""#,
        r#""\u001b[2Jk1""#,
        &long,
        "1",
        "\"\u{43a}1\"",
        "null",
        "[\"k1\"]",
        "\"\"",
    ] {
        keys.refused(kid, &sign(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#)));
    }
    for header in ["[]", "null", "", "{", r#"{"alg":"HS256""#, "\u{feff}{\"alg\":\"HS256\"}"] {
        keys.refused(header, &sign(header));
    }
}

#[test]
fn times_are_judged_with_a_leeway() {
    let keys = Keys::new();
    let token = |name: &str, value: Value| keys.hs.token("k1", &but(name, value));
    keys.taken("expired by 29 s", &token("exp", json!(NOW_S - 29)));
    for gone in [30, 31, 3_600] {
        let token = token("exp", json!(NOW_S - gone));
        assert_eq!(keys.judge(&token), Err(AuthError::Expired), "{gone}");
    }
    keys.taken("24 h ahead", &token("exp", json!(NOW_S + 86_400)));
    keys.refused("more than 24 h ahead", &token("exp", json!(NOW_S + 86_401)));
    keys.taken("a fraction", &token("exp", json!(NOW_S as f64 + 0.9)));
    keys.taken(
        "an exponent",
        &keys.hs.token_of(
            br#"{"alg":"HS256"}"#,
            good().to_string().replace(&(NOW_S + 600).to_string(), "18000006e2").as_bytes(),
        ),
    );
    for wrong in
        [json!(null), json!("1800000600"), json!(-1), json!(1e300), json!(u64::MAX), json!([NOW_S]), json!(true)]
    {
        keys.refused("exp", &token("exp", wrong.clone()));
        keys.refused("nbf", &token("nbf", wrong.clone()));
        keys.refused("iat", &token("iat", wrong));
    }
    keys.refused("no exp", &keys.hs.token("k1", &without("exp")));
    for name in ["nbf", "iat"] {
        keys.taken(name, &token(name, json!(NOW_S + 29)));
        keys.refused(name, &token(name, json!(NOW_S + 31)));
    }
}

#[test]
fn audience_and_issuer_are_ours_exactly() {
    let keys = Keys::new();
    let token = |name: &str, value: Value| keys.hs.token("k1", &but(name, value));
    keys.taken("in a list", &token("aud", json!(["other", "synckairos"])));
    for aud in
        [json!("other"), json!("synckairo"), json!("synckairos2"), json!(["other"]), json!([]), json!(""), json!(1)]
    {
        keys.refused(&aud.to_string(), &token("aud", aud.clone()));
    }
    keys.refused("no aud", &keys.hs.token("k1", &without("aud")));
    keys.taken("a key without an issuer", &token("iss", json!("anybody")));
    keys.refused("iss is a list", &token("iss", json!(["anybody"])));
    for issuer in [json!("https://id.example"), json!("https://fed.example/"), json!([COMPANY]), json!("")] {
        keys.refused(&issuer.to_string(), &keys.rs.token("rs-1", &but("iss", issuer.clone())));
    }
    keys.refused("no iss", &keys.rs.token("rs-1", &good()));
}

#[test]
fn a_claim_stands_once() {
    let keys = Keys::new();
    for member in [
        r#""exp":9999999999"#,
        r#""sub":"admin""#,
        r#""aud":"other""#,
        r#""synckairos":{"grants":[]}"#,
        r#""s\u0075b":"admin""#,
        r#""other":1,"other":2"#,
    ] {
        keys.refused(member, &keys.hs.token_of(br#"{"alg":"HS256","kid":"k1"}"#, &with_text(member)));
    }
    keys.taken("others' claims", &keys.hs.token_of(br#"{"alg":"HS256"}"#, &with_text(r#""scope":"a b","roles":[{}]"#)));
}

#[test]
fn subjects_are_text_that_can_be_shown() {
    let keys = Keys::new();
    let judge = |sub: Value| keys.judge(&keys.hs.token("k1", &but("sub", sub)));
    for wrong in ["", &"é".repeat(129), "a\0", "a\nb", "a\u{202e}b", "a\u{2028}b", "\u{7f}"] {
        assert!(matches!(judge(json!(wrong)), Err(AuthError::Invalid(_))), "{wrong:?}");
    }
    assert!(judge(json!(1)).is_err() && judge(json!(null)).is_err());
    assert_eq!(judge(json!("é".repeat(128))), Ok(format!("sub:{}", "é".repeat(128))));
    assert_ne!(judge(json!("\u{e9}")), judge(json!("e\u{301}")), "what looks the same is not");
    let lone = good().to_string().replace("\"somebody\"", r#""\ud800""#);
    keys.refused("a lone surrogate", &keys.hs.token_of(br#"{"alg":"HS256"}"#, lone.as_bytes()));
    keys.refused("no sub", &keys.hs.token("k1", &without("sub")));
    keys.refused("jti", &keys.hs.token("k1", &but("jti", json!("x".repeat(129)))));
    keys.taken("jti", &keys.hs.token("k1", &but("jti", json!("x".repeat(128)))));
}

#[test]
#[ignore = "takes seconds; tests/run runs it"]
fn tokens_have_a_size() {
    let keys = Keys::new();
    let of_len = |len: usize| {
        let pad = |n: usize| keys.hs.token("k1", &but("pad", json!("x".repeat(n))));
        (1..).map(pad).find(|token| token.len() >= len).expect("it grows")
    };
    let token = of_len(8_190);
    assert!(token.len() <= 8_192);
    keys.taken("the longest", &token);
    keys.refused("longer", &of_len(8_193));
    // As deep as fits.
    let deep = format!("{}{}", "[".repeat(2_800), "]".repeat(2_800));
    keys.taken("nested", &keys.hs.token_of(br#"{"alg":"HS256"}"#, &with_text(&format!("\"deep\":{deep}"))));
    for payload in ["[]", "null", "{}", "\u{feff}{}", "{} x"] {
        keys.refused(payload, &keys.hs.token_of(br#"{"alg":"HS256"}"#, payload.as_bytes()));
    }
    let trailing = [good().to_string().as_bytes(), b" x"].concat();
    keys.refused("trailing text", &keys.hs.token_of(br#"{"alg":"HS256"}"#, &trailing));
    let array = format!("[{}]", good());
    keys.refused("an array", &keys.hs.token_of(br#"{"alg":"HS256"}"#, array.as_bytes()));
    keys.refused("no UTF-8", &keys.hs.token_of(br#"{"alg":"HS256"}"#, b"{\"sub\":\"\xff\"}"));
}

#[test]
fn grants_are_whole_or_the_token_is_refused() {
    let keys = Keys::new();
    let judge = |granted: Value| keys.judge(&keys.hs.token("k1", &but("synckairos", granted)));
    let id = "550e8400-e29b-41d4-a716-446655440000";
    let grant = json!({"sessions": [id], "as": [id], "allow": ["read", "fly"]});
    assert!(judge(json!({"grants": [grant]})).is_ok(), "an unknown permission is one that a newer server knows");
    assert!(judge(json!({"grants": []})).is_ok());
    for wrong in [
        json!(null),
        json!([]),
        json!({}),
        json!({"grants": null}),
        json!({"grants": {}}),
        json!({"grants": [], "not_in": "Paris"}),
        json!({"grants": [{"sessions": [id]}]}),
        json!({"grants": [{"allow": ["read"]}]}),
        json!({"grants": [{"sessions": id, "allow": ["read"]}]}),
        json!({"grants": [{"sessions": [id], "allow": "read"}]}),
        json!({"grants": [{"sessions": [id], "allow": [1]}]}),
        json!({"grants": [{"sessions": [id], "allow": [], "deny": []}]}),
        json!({"grants": [{"sessions": ["550e840*"], "allow": []}]}),
        json!({"grants": [{"sessions": ["550E8400*"], "allow": []}]}),
        json!({"grants": [{"sessions": [""], "allow": []}]}),
        json!({"grants": [{"sessions": [id], "as": ["player"], "allow": []}]}),
        json!({"grants": [{"sessions": [id], "as": id, "allow": []}]}),
        json!({"grants": vec![json!({"sessions": [], "allow": []}); 65]}),
        json!({"grants": [{"sessions": vec!["550e8400*"; 257], "allow": []}]}),
        json!({"grants": [{"sessions": [id], "as": vec![id; 17], "allow": []}]}),
    ] {
        assert!(matches!(judge(wrong.clone()), Err(AuthError::Invalid(_))), "{wrong}");
    }
    assert!(judge(json!({"grants": vec![json!({"sessions": [], "allow": []}); 64]})).is_ok());
    assert!(judge(json!({"grants": [{"sessions": vec!["550e8400*"; 256], "allow": []}]})).is_ok());
    assert!(judge(json!({"grants": [{"sessions": [id], "as": vec![id; 16], "allow": []}]})).is_ok());
    keys.refused("no grants", &keys.hs.token("k1", &without("synckairos")));
}
