//! Clocks that are set: who has come in stays for as long as was said, and new tokens are judged by the new time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use synckairos::auth::{AuthError, Authenticator, KeySources};
use synckairos::client::ClientAddress;
use synckairos::clock::{Clock, Source};
use synckairos::secret::SecretSource;
use test_support::tokens::{Signer, claims};

const NOW_S: u64 = 1_800_000_000;

/// A machine whose clocks the test sets.
#[derive(Debug)]
struct Machine {
    uptime_s: AtomicU64,
    wall_s: AtomicU64,
}

impl Source for Machine {
    fn uptime(&self) -> Duration {
        Duration::from_secs(self.uptime_s.load(Ordering::SeqCst))
    }

    fn time_of_day(&self) -> Duration {
        Duration::from_secs(self.wall_s.load(Ordering::SeqCst))
    }
}

#[test]
fn a_step_ends_nobody_and_new_tokens_are_judged_anew() {
    let signer = Signer::hs256(3);
    let secret = Some(SecretSource::given(&signer.secret()));
    let keys = KeySources { token_secret: secret, ..KeySources::default() }.load().expect("the secret is right");
    let machine = Arc::new(Machine { uptime_s: AtomicU64::new(1_000), wall_s: AtomicU64::new(NOW_S) });
    let clock = Clock::over(Arc::clone(&machine) as _);
    let authenticator = Authenticator::new(keys, clock.clone());
    let token = |subject: &str, expires_s| signer.token("token-secret", &claims(subject, expires_s, &json!([])));
    let identify = |token: &str| authenticator.identify(token, ClientAddress::UNIX);

    let known = token("known", NOW_S + 600);
    let identity = identify(&known).expect("it counts");
    for (step, of_before, of_after) in [(3_600, Err(AuthError::Expired), 3_600 + 60), (-3_600_i64, Ok(()), -3_540)] {
        machine.wall_s.store(NOW_S.saturating_add_signed(step), Ordering::SeqCst);
        assert!(authenticator.is_current(&identity), "a step of {step} s ends nobody who is there");
        assert_eq!(identify(&token("new", NOW_S + 600)).map(drop), of_before, "{step}");
        let fresh = token("fresh", NOW_S.saturating_add_signed(of_after));
        assert!(identify(&fresh).is_ok(), "an issuer that goes by the same time is believed: {step}");
    }
    machine.wall_s.store(NOW_S, Ordering::SeqCst);
    for (uptime_s, is_current) in [(1_000 + 629, true), (1_000 + 630, false)] {
        machine.uptime_s.store(uptime_s, Ordering::SeqCst);
        assert_eq!(authenticator.is_current(&identity), is_current, "{uptime_s}");
    }
}

#[test]
fn wrong_signatures_of_an_address_are_not_looked_at_for_ever() {
    let (es, hs, forger) = (Signer::es256(), Signer::hs256(3), Signer::es256());
    let directory = test_support::directory::Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let path = directory.path().join("keys.json");
    let es_key =
        json!({"id": "es", "kind": "jwk", "jwk": es.jwk("es"), "issuer": "i", "allow": ["*"], "sessions": ["*"]});
    let file = json!({"keys": [es_key, super::signing_key("hs", &hs), super::key("backend")]});
    std::fs::write(&path, file.to_string()).expect("it can be written");
    let keys = KeySources { keys_file: Some(path), ..KeySources::default() }.load().expect("the keys are right");
    let machine = Arc::new(Machine { uptime_s: AtomicU64::new(1_000), wall_s: AtomicU64::new(NOW_S) });
    let authenticator = Authenticator::new(keys, Clock::over(machine));
    let address = |text: &str| ClientAddress::of(text.parse().expect("it is an address"));
    let mut claims = claims("a", NOW_S + 60, &json!([]));
    claims["iss"] = json!("i");
    let (good, bad) = (es.token("es", &claims), forger.token("es", &claims));
    let flooding = address("192.0.2.1");
    let looked_at =
        (0..1_000).take_while(|_| authenticator.identify(&bad, flooding) != Err(AuthError::TooMany)).count();
    assert_eq!(looked_at, 20 + 200, "its own, and then what is left for all");
    assert_eq!(authenticator.identify(&good, flooding).map(drop), Err(AuthError::TooMany));
    // What costs little is judged all the same, and so is everybody else.
    assert!(authenticator.identify(&hs.token("hs", &claims), flooding).is_ok());
    assert!(authenticator.identify(&test_support::tokens::api_key("backend").0, flooding).is_ok());
    assert!(authenticator.identify(&good, address("192.0.2.2")).is_ok());
    assert!(authenticator.identify(&good, flooding).is_ok(), "what was verified once is known");
}
