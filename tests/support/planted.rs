//! Secrets that tests plant. Each key, secret and signature of the kit's is noted as it is made, and all that the kit
//! reads of a server, answers, messages and logs, is searched for them. Does not know what they open.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The shortest secret in base64url, which is one of 32 bytes: longer than an id, so that most texts hold nothing to compare.
const LEN_MIN: usize = 43;

static PLANTED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Notes a secret in base64url.
pub fn plant(secret: &str) {
    if secret.len() >= LEN_MIN {
        PLANTED.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }
}

/// Fails the test when a text that a server wrote repeats a secret.
#[track_caller]
pub fn search(text: &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for run in text.split(|c| !is_part(c)).filter(|run| run.len() >= LEN_MIN) {
        let planted = PLANTED.lock().unwrap_or_else(PoisonError::into_inner);
        let found = planted.contains(run) || planted.iter().any(|secret| run.contains(secret.as_str()));
        drop(planted);
        assert!(!found, "a secret is told: {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::{plant, search};

    #[test]
    #[should_panic(expected = "a secret is told")]
    fn a_secret_is_found_wherever_it_is() {
        let secret = "planted-0123456789_0123456789_0123456789-abc";
        search(secret);
        plant(secret);
        search(&secret[1..]);
        search(&format!("{{\"key\":\"synk_name_{secret}\"}}"));
    }
}
