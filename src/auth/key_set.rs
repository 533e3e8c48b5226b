//! The keys that count at one moment, and what each may do at most: made whole or not at all. Does not know where they stand, nor
//! what is signed with them.

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey};

use crate::engine::Timestamp;
use crate::wire::{Jwk, KeyEntry, KeyMaterial};

use super::api_key::Digest;
use super::grant::SessionPattern;
use super::identity::KeyFingerprint;
use super::key_material::{named, public_key, secret_key};
use super::permission::Permissions;
use super::refusal::AuthError;

/// Keys of one algorithm that sign tokens which name no key: an old one and a new one.
const DEFAULTS_MAX: usize = 2;

/// What holds for all tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenRules {
    pub(super) audience: String,
    pub(super) lifetime_max_s: u64,
    pub(super) leeway_s: u64,
}

/// The keys.
#[derive(Debug)]
pub struct KeySet {
    pub(super) rules: TokenRules,
    api: HashMap<Arc<str>, ApiKey>,
    signing: Vec<SigningKey>,
    by_id: HashMap<String, Vec<usize>>,
    rights: HashMap<KeyFingerprint, ValidityWindow>,
    /// Sets at URLs.
    remote: Vec<RemoteSource>,
    /// Keys of such sets that are left out, and why.
    pub(super) left_out: Vec<String>,
    /// Permissions that nobody knows, and where they stand.
    pub(super) unknown: Vec<String>,
}

/// Whose keys stand at a URL.
#[derive(Debug, PartialEq, Eq)]
struct RemoteSource {
    issuer: String,
    url: Arc<str>,
    /// Nothing is known of them.
    is_away: bool,
}

/// What a key may do at most, and when.
#[derive(Clone, Debug)]
pub(super) struct KeyRights {
    pub(super) id: Arc<str>,
    pub(super) allow: Permissions,
    pub(super) sessions: Arc<[SessionPattern]>,
    pub(super) window: ValidityWindow,
    pub(super) fingerprint: KeyFingerprint,
}

/// When a key counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ValidityWindow {
    not_before: Option<Timestamp>,
    pub(super) not_after: Option<Timestamp>,
}

impl ValidityWindow {
    pub(super) fn is_open(self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|from| from <= now) && self.not_after.is_none_or(|until| now < until)
    }
}

/// A key that its holder sends.
#[derive(Debug)]
pub(super) struct ApiKey {
    pub(super) rights: KeyRights,
    pub(super) digest: Digest,
}

/// A key that signs tokens.
#[derive(Debug)]
pub(super) struct SigningKey {
    pub(super) rights: KeyRights,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    pub(super) issuer: Option<String>,
    pub(super) audience: String,
    is_default: bool,
}

impl KeySet {
    pub(super) fn new(rules: TokenRules) -> Self {
        Self {
            rules,
            api: HashMap::new(),
            signing: Vec::new(),
            by_id: HashMap::new(),
            rights: HashMap::new(),
            remote: Vec::new(),
            left_out: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// The key of a name that its holder sends.
    pub(super) fn api_key(&self, id: &str) -> Option<&ApiKey> {
        self.api.get(id)
    }

    /// The keys that may have signed a token: by the name that it gives and its issuer, or those for tokens without a name.
    pub(super) fn signing_keys<'s>(
        &'s self,
        id: Option<&str>,
        algorithm: Algorithm,
        issuer: Option<&'s str>,
    ) -> impl Iterator<Item = &'s SigningKey> {
        let is_of = move |key: &&SigningKey| key.issuer.is_none() || key.issuer.as_deref() == issuer;
        let named = id.map(|id| self.by_id.get(id).map_or(&[][..], Vec::as_slice));
        let named = named.map(|places| places.iter().map(|place| &self.signing[*place]));
        let defaults = id.is_none().then(|| self.signing.iter().filter(|key| key.is_default));
        let all = named.into_iter().flatten().chain(defaults.into_iter().flatten());
        all.filter(is_of).filter(move |key| key.algorithm == algorithm)
    }

    /// Whether a key still counts, as it was.
    pub(super) fn has(&self, key: &KeyFingerprint, now: Timestamp) -> bool {
        self.rights.get(key).is_some_and(|window| window.is_open(now))
    }

    /// Whether other keys are the same, with what they may do.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.rights == other.rights && self.remote == other.remote && self.left_out == other.left_out
    }

    /// Why no key of an issuer has a name: its keys may have changed, or nothing is known of them; `None` when that is for good.
    pub(super) fn may_come(&self, issuer: Option<&str>) -> Option<AuthError> {
        let sources: Vec<_> = self.remote.iter().filter(|source| Some(&*source.issuer) == issuer).collect();
        let urls: Vec<_> = sources.iter().map(|source| Arc::clone(&source.url)).collect();
        match sources.iter().any(|source| source.is_away) {
            true => Some(AuthError::Unavailable(urls)),
            false if urls.is_empty() => None,
            false => Some(AuthError::UnknownKey(urls)),
        }
    }

    /// Adds an entry whose set stands at a URL; `set` is what is known of it.
    pub(super) fn add_remote(&mut self, entry: &KeyEntry, url: &Arc<str>, set: Option<&[Jwk]>) -> Result<(), String> {
        self.add(entry, set.unwrap_or_default())?;
        if let KeyMaterial::Set { issuer, .. } = &entry.material {
            let (issuer, url) = (issuer.clone(), Arc::clone(url));
            self.remote.push(RemoteSource { issuer, url, is_away: set.is_none() });
        }
        Ok(())
    }

    /// Adds a key that its holder sends.
    pub(super) fn add_api_key(&mut self, rights: KeyRights, digest: Digest) -> Result<(), String> {
        self.rights.insert(rights.fingerprint, rights.window);
        match self.api.insert(Arc::clone(&rights.id), ApiKey { rights, digest }) {
            Some(known) => Err(format!("{} is given twice", known.rights.id)),
            None => Ok(()),
        }
    }

    /// Adds an entry of a file; `set` is what stands in the set that it names.
    pub(super) fn add(&mut self, entry: &KeyEntry, set: &[Jwk]) -> Result<(), String> {
        let rights = self.rights_of(entry)?;
        let of = |own: &Option<String>| own.clone().unwrap_or_else(|| self.rules.audience.clone());
        match &entry.material {
            KeyMaterial::Api { sha256 } => {
                let digest = Digest::parse(sha256).ok_or("sha256: must be 64 hexadecimal digits in lower case")?;
                self.add_api_key(rights, digest)
            }
            KeyMaterial::Secret { secret, issuer, audience, is_default } => {
                let (issuer, audience, is_default) = (issuer.clone(), of(audience), *is_default);
                let (algorithm, key) = (Algorithm::HS256, secret_key(secret)?);
                self.add_signing(&entry.id, SigningKey { rights, algorithm, key, issuer, audience, is_default })
            }
            KeyMaterial::Public { jwk, issuer, audience, is_default } => {
                let (algorithm, key) = public_key(jwk).map_err(|why| format!("jwk.{why}"))?;
                let (issuer, audience, is_default) = (Some(issuer.clone()), of(audience), *is_default);
                let id = jwk.id.as_ref().unwrap_or(&entry.id);
                self.add_signing(id, SigningKey { rights, algorithm, key, issuer, audience, is_default })
            }
            KeyMaterial::Set { location, issuer, audience, algorithms } => {
                if let Some(wrong) =
                    algorithms.iter().find(|name| named(name).is_none_or(|one| one == Algorithm::HS256))
                {
                    return Err(format!("algorithms: {wrong:?} is not RS256, ES256 or EdDSA"));
                }
                let audience = of(audience);
                for jwk in set {
                    let Some(id) = &jwk.id else { continue };
                    if jwk.algorithm.as_ref().is_some_and(|name| !algorithms.contains(name)) {
                        continue;
                    }
                    let (algorithm, key) = public_key(jwk).map_err(|why| format!("{id}: {why}"))?;
                    if algorithms.iter().all(|name| named(name) != Some(algorithm)) {
                        continue;
                    }
                    let mut rights = rights.clone();
                    let text = format!("{}{jwk:?}", entry.text);
                    rights.fingerprint = self.fingerprint(&text);
                    let (issuer, audience) = (Some(issuer.clone()), audience.clone());
                    let key = SigningKey { rights, algorithm, key, issuer, audience, is_default: false };
                    match self.add_signing(id, key) {
                        // Who keeps the set decides nothing about other keys.
                        Err(why) if location.contains("://") => self.left_out.push(format!("{location}: {why}")),
                        added => added?,
                    }
                }
                Ok(())
            }
        }
    }

    /// The secrets that sign tokens, by their names: those for tokens that name none first.
    pub(super) fn secret_keys(&self) -> impl Iterator<Item = (&str, &SigningKey)> {
        let of = |is_default: bool| {
            let is_it = move |key: &&SigningKey| key.algorithm == Algorithm::HS256 && key.is_default == is_default;
            self.signing.iter().filter(is_it).map(|key| (&*key.rights.id, key))
        };
        of(true).chain(of(false))
    }

    fn add_signing(&mut self, id: &str, key: SigningKey) -> Result<(), String> {
        let others = self.by_id.entry(id.to_owned()).or_default();
        if others.iter().any(|place| self.signing[*place].issuer == key.issuer) {
            return Err(format!("two keys of one issuer have the id {id}"));
        }
        let is_rival = |other: &&SigningKey| other.is_default && other.algorithm == key.algorithm;
        if key.is_default && self.signing.iter().filter(is_rival).count() == DEFAULTS_MAX {
            return Err(format!("default: {DEFAULTS_MAX} other keys are for tokens that name none"));
        }
        others.push(self.signing.len());
        self.rights.insert(key.rights.fingerprint, key.rights.window);
        self.signing.push(key);
        Ok(())
    }

    fn rights_of(&mut self, entry: &KeyEntry) -> Result<KeyRights, String> {
        let unknown = &mut self.unknown;
        let allow = Permissions::named(entry.allow.iter().map(String::as_str), |name| {
            unknown.push(format!("{}: {name:?}", entry.id));
        });
        let sessions = patterns(&entry.sessions)?;
        let window = ValidityWindow { not_before: entry.not_before, not_after: entry.not_after };
        let fingerprint = self.fingerprint(&entry.text);
        Ok(KeyRights { id: entry.id.as_str().into(), allow, sessions, window, fingerprint })
    }

    /// Of a key as it is given, with the rules that tokens of it are judged by.
    pub(super) fn fingerprint(&self, text: &str) -> KeyFingerprint {
        Digest::of(format!("{:?}{text}", self.rules).as_bytes()).bytes()
    }
}

/// What is wrong with entries of a file, beyond how they are written.
pub fn check_entries(entries: &[KeyEntry]) -> Result<(), String> {
    let rules = TokenRules { audience: String::new(), lifetime_max_s: 1, leeway_s: 0 };
    let mut set = KeySet::new(rules);
    entries.iter().try_for_each(|entry| set.add(entry, &[]))?;
    match set.unknown.first() {
        Some(unknown) => Err(format!("there is no such permission: {unknown}")),
        None => Ok(()),
    }
}

/// Which sessions a list names.
pub(super) fn patterns(sessions: &[String]) -> Result<Arc<[SessionPattern]>, String> {
    let read = |(place, text): (usize, &String)| {
        let wrong = || format!("sessions.{place}: must be a UUID, the first 8 or more digits of one and *, or *");
        SessionPattern::parse(text).ok_or_else(wrong)
    };
    sessions.iter().enumerate().map(read).collect()
}
