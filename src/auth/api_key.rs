//! API keys: `synk_<id>_<secret>`, opaque and high in entropy. Only their SHA-256 is kept. Does not know what they open.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use crate::random;
use crate::secret::Secret;
use crate::wire::is_own_id;

/// What every key begins with: scanners of repositories find keys by it.
pub(super) const PREFIX: &str = "synk_";
/// 32 bytes in base64url.
const SECRET_LEN: usize = 43;

/// The SHA-256 of a key, or of anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| match pair[at] {
                digit @ b'0'..=b'9' => Some(digit - b'0'),
                digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            *byte = digit(0)? << 4 | digit(1)?;
        }
        Some(Self(bytes))
    }

    /// As 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Whether it is another one's equal, in a time that does not say how much of it is.
    pub fn is_same(&self, other: &Self) -> bool {
        #[cfg(test)]
        COMPARISONS.with(|count| count.set(count.get() + 1));
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
thread_local! {
    /// How often a thread has compared digests.
    pub(super) static COMPARISONS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// A new key of a name, and its digest for the file.
pub fn new_key(id: &str) -> (Secret, Digest) {
    let mut bytes = [0; 32];
    for eight in bytes.chunks_exact_mut(8) {
        eight.copy_from_slice(&random::bits().to_ne_bytes());
    }
    let key = format!("{PREFIX}{id}_{}", URL_SAFE_NO_PAD.encode(bytes));
    (Secret::new(&key), Digest::of(key.as_bytes()))
}

/// The name in a key; `None` when that is none.
pub(super) fn id_of(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (is_own_id(id) && secret.len() == SECRET_LEN && secret.bytes().all(is_digit)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::{Digest, id_of, new_key};

    #[test]
    fn a_new_key_has_its_name_and_is_like_no_other() {
        let (one, digest) = new_key("back-end1");
        let (other, _) = new_key("back-end1");
        assert_eq!(id_of(one.reveal()), Some("back-end1"));
        assert_ne!(one.reveal(), other.reveal());
        assert!(Digest::of(one.reveal().as_bytes()).is_same(&digest));
        assert!(Digest::parse(&digest.hex()).expect("it is one").is_same(&digest));
        assert!(!Digest::of(other.reveal().as_bytes()).is_same(&digest));
    }

    #[test]
    fn what_is_no_key_has_no_name() {
        let secret = "A".repeat(43);
        for wrong in [
            String::new(),
            "synk_".to_owned(),
            format!("synk__{secret}"),
            format!("synk_Backend_{secret}"),
            format!("SYNK_backend_{secret}"),
            format!("synk_backend_{}", &secret[1..]),
            format!("synk_backend_{secret}A"),
            format!("synk_backend_{}=", &secret[1..]),
            format!("synk_back_end_{secret}"),
            format!("synk_{}_{secret}", "a".repeat(33)),
            format!(" synk_backend_{secret}"),
        ] {
            assert_eq!(id_of(&wrong), None, "{wrong}");
        }
        assert_eq!(id_of(&format!("synk_a_{}_-", &secret[2..])), Some("a"));
        for wrong in ["", "ab", &"A".repeat(64), &"g".repeat(64), &"a".repeat(63)] {
            assert!(Digest::parse(wrong).is_none(), "{wrong}");
        }
    }
}
