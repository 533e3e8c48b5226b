//! The file of keys: who may come in, and who may sign tokens. Does not know where it is, nor what the keys open.

use serde::Serialize;

use crate::engine::Timestamp;

use super::claims::{key_id, seconds};
use super::instant;
use super::json::Raw;
use super::json_values::{self, FieldResult, field_error, unexpected};
use super::jwk::{Jwk, jwk};
use super::members::{Malformed, Members, texts};
use super::validation::ProblemCode;

/// Keys of a file at most.
const KEYS_MAX: usize = 1_000;
const ID_LEN_MAX: usize = 32;

/// What stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysFile {
    /// The keys, in their order.
    pub keys: Vec<KeyEntry>,
    /// Whom tokens are for.
    pub audience: Option<String>,
    /// How long a token may live, in seconds.
    pub lifetime_max_s: Option<u64>,
    /// How far the clocks of issuers may be off, in seconds.
    pub leeway_s: Option<u64>,
}

/// A key, and how far it reaches.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name, which may be logged.
    pub id: String,
    /// What it is.
    pub material: KeyMaterial,
    /// What it may do at most, and whoever has a token of it.
    pub allow: Vec<String>,
    /// In which sessions.
    pub sessions: Vec<String>,
    /// From when on.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// The entry as it stands there: whatever changes in it, it is another key.
    pub text: String,
}

/// What a key is.
#[derive(Clone, PartialEq, Eq)]
pub enum KeyMaterial {
    /// The SHA-256 of a key that its holder sends, in hexadecimal digits.
    Api {
        /// The digest.
        sha256: String,
    },
    /// A secret that signs tokens (HS256), in base64url.
    Secret {
        /// The secret.
        secret: String,
        /// Whose tokens.
        issuer: Option<String>,
        /// Whom they are for, if not whom others are for.
        audience: Option<String>,
        /// Whether it signs tokens that name no key.
        is_default: bool,
    },
    /// A public key.
    Public {
        /// The key.
        jwk: Jwk,
        /// Whose tokens.
        issuer: String,
        /// Whom they are for.
        audience: Option<String>,
        /// Whether it signs tokens that name no key.
        is_default: bool,
    },
    /// A set of public keys.
    Set {
        /// Where it is.
        location: String,
        /// Whose tokens.
        issuer: String,
        /// Whom they are for.
        audience: Option<String>,
        /// The algorithms that its keys may have.
        algorithms: Vec<String>,
    },
}

impl KeyMaterial {
    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        let kind = match self {
            Self::Api { .. } => KeyKind::Api,
            Self::Secret { .. } => KeyKind::Secret,
            Self::Public { .. } => KeyKind::Public,
            Self::Set { .. } => KeyKind::Set,
        };
        kind.name()
    }
}

/// Secrets are not shown.
impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Reads the file.
pub fn keys_file(json: &str) -> Result<KeysFile, Malformed> {
    let mut members = Members::read(json)?;
    let listed = members.required("keys", |value| json_values::array_of(value, 0, KEYS_MAX))?;
    let audience = members.optional("audience", name)?;
    let lifetime_max_s = members.optional("lifetime_max_s", |value| json_values::integer(value, 1, 31_536_000))?;
    let leeway_s = members.optional("leeway_s", |value| json_values::integer(value, 0, 300))?;
    members.end()?;
    let mut keys: Vec<KeyEntry> = Vec::with_capacity(listed.len());
    for (place, value) in listed.into_iter().enumerate() {
        let at = format!("keys.{place}");
        let key = entry(value.get()).map_err(|malformed| malformed.inside(&at))?;
        if keys.iter().any(|known| known.id == key.id) {
            return Err(Malformed(format!("{at}.id: {} is given twice", key.id)));
        }
        keys.push(key);
    }
    Ok(KeysFile { keys, audience, lifetime_max_s, leeway_s })
}

/// The file without the key of a name, all else as it stands there; `None` when it has no such key.
pub fn keys_file_without(json: &str, id: &str) -> Result<Option<String>, Malformed> {
    let file = keys_file(json)?;
    if file.keys.iter().all(|key| key.id != id) {
        return Ok(None);
    }
    let mut members = Members::read(json)?;
    let mut text = String::from("{");
    for name in ["audience", "lifetime_max_s", "leeway_s"] {
        if let Some(value) = members.take(name) {
            text += &format!("\n  \"{name}\": {},", value.get());
        }
    }
    let others = file.keys.iter().filter(|key| key.id != id).map(|key| format!("\n    {}", key.text));
    let others: Vec<_> = others.collect();
    Ok(Some(format!("{text}\n  \"keys\": [{}\n  ]\n}}\n", others.join(","))))
}

/// The line of a key that its holder sends.
pub fn api_key_entry(id: &str, sha256: &str, allow: &[String], sessions: &[String]) -> String {
    #[derive(Serialize)]
    struct Entry<'e> {
        id: &'e str,
        kind: &'static str,
        sha256: &'e str,
        allow: &'e [String],
        sessions: &'e [String],
    }
    let entry = Entry { id, kind: KeyKind::Api.name(), sha256, allow, sessions };
    serde_json::to_string(&entry).expect("texts are JSON")
}

fn entry(json: &str) -> Result<KeyEntry, Malformed> {
    let mut members = Members::read(json)?;
    let id = members.required("id", own_id)?;
    let allow = members.required("allow", |value| texts(value, 64))?;
    let sessions = members.required("sessions", |value| texts(value, 256))?;
    let not_before = members.optional("not_before", instant)?;
    let not_after = members.optional("not_after", instant)?;
    let kind = members.required("kind", |value| json_values::one_of(value, &KeyKind::ALL, KeyKind::name))?;
    let material = match kind {
        KeyKind::Api => KeyMaterial::Api { sha256: members.required("sha256", name)? },
        KeyKind::Secret => KeyMaterial::Secret {
            secret: members.required("secret", name)?,
            issuer: members.optional("issuer", name)?,
            audience: members.optional("audience", name)?,
            is_default: members.optional("default", boolean)?.unwrap_or_default(),
        },
        KeyKind::Public => KeyMaterial::Public {
            jwk: {
                let json = members.required("jwk", |value| Ok(value.get()))?;
                jwk(json).map_err(|malformed| malformed.inside("jwk"))?
            },
            issuer: members.required("issuer", name)?,
            audience: members.optional("audience", name)?,
            is_default: members.optional("default", boolean)?.unwrap_or_default(),
        },
        KeyKind::Set => KeyMaterial::Set {
            location: location(&mut members)?,
            issuer: members.required("issuer", name)?,
            audience: members.optional("audience", name)?,
            algorithms: members.required("algorithms", |value| texts(value, 8))?,
        },
    };
    members.end()?;
    Ok(KeyEntry { id, material, allow, sessions, not_before, not_after, text: json.to_owned() })
}

/// A `url` or a `file`.
fn location(members: &mut Members<'_>) -> Result<String, Malformed> {
    match (members.optional("url", name)?, members.optional("file", name)?) {
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(_), Some(_)) => Err(Malformed("file: url is given too".to_owned())),
        (None, None) => Err(Malformed("url: missing".to_owned())),
    }
}

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Api,
    Secret,
    Public,
    Set,
}

impl KeyKind {
    const ALL: [Self; 4] = [Self::Api, Self::Secret, Self::Public, Self::Set];

    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Secret => "hs256",
            Self::Public => "jwk",
            Self::Set => "jwks",
        }
    }
}

/// The name of a key: `1..=32` of `[a-z0-9-]`.
pub fn is_own_id(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=ID_LEN_MAX).contains(&text.len()) && text.bytes().all(is_part)
}

fn own_id(value: Raw<'_>) -> FieldResult<String> {
    let text = key_id(value)?;
    let message = format!("Must be 1 to {ID_LEN_MAX} of a to z, 0 to 9 and hyphens");
    if is_own_id(&text) { Ok(text) } else { Err(field_error(ProblemCode::InvalidValue, message)) }
}

fn name(value: Raw<'_>) -> FieldResult<String> {
    let text = json_values::string(value)?;
    if text.is_empty() {
        return Err(field_error(ProblemCode::TooSmall, "Must not be empty"));
    }
    Ok(text.into_owned())
}

fn boolean(value: Raw<'_>) -> FieldResult<bool> {
    match value.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(unexpected("boolean", value)),
    }
}

/// Seconds since 1970, or the text of an instant in UTC.
pub(super) fn instant(value: Raw<'_>) -> FieldResult<Timestamp> {
    if json_values::kind(value) == "number" {
        return seconds(value).map(|seconds| Timestamp::from_ms(seconds.saturating_mul(1_000)));
    }
    let text = json_values::string(value)?;
    let whole = match text.strip_suffix('Z') {
        Some(seconds) if text.len() == "2026-01-31T12:00:00Z".len() => format!("{seconds}.000Z"),
        Some(_) | None => text.into_owned(),
    };
    let message = "Must be seconds since 1970, or an instant such as 2026-01-31T12:00:00Z";
    instant::parse(&whole).ok_or_else(|| field_error(ProblemCode::InvalidFormat, message))
}
