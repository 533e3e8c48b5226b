//! Objects that grant access: headers and claims of tokens against an oracle, and keys, of which none that is private or
//! ambiguous is taken.

use std::collections::BTreeSet;

use synckairos::engine::ParticipantId;
use synckairos::wire::{self, GrantClaim, TokenClaims, TokenHeader};

use crate::choices::Choices;
use crate::model::Json;
use crate::model_fields::uuid;
use crate::model_number::Digits;

/// Which kind of object, then its JSON.
pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let kind = choices.below(6);
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    match kind {
        0 => assert_eq!(wire::token_header(text).ok(), object(text).and_then(|object| header(&object)), "{text}"),
        1 => assert_eq!(wire::token_claims(text).ok(), object(text).and_then(|object| claims(&object)), "{text}"),
        2 => {
            let expected = object(text).and_then(|object| match object.member("iss") {
                Some(issuer) => string(issuer).map(|issuer| Some(issuer.to_owned())),
                None => Some(None),
            });
            assert_eq!(wire::token_issuer(text).ok(), expected, "{text}");
        }
        3 => {
            if wire::jwk(text).is_ok() {
                public(&object(text).expect("a key is an object"));
            }
        }
        4 => {
            if wire::jwk_set(text).is_ok() {
                let set = object(text).expect("a set is an object");
                let Some(Json::Array(keys)) = set.member("keys") else { panic!("a set has keys: {text}") };
                keys.iter().for_each(public);
            }
        }
        _ => {
            if let Ok(file) = wire::keys_file(text) {
                let names: BTreeSet<_> = file.keys.iter().map(|key| &key.id).collect();
                assert!(names.len() == file.keys.len() && names.iter().all(|name| wire::is_own_id(name)), "{text}");
                assert!(object(text).is_some(), "{text}");
            }
        }
    }
}

/// An object in which every name is a text that stands once, of 100 members at most.
fn object(text: &str) -> Option<Json> {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text.trim_ascii()).is_ok();
    let object = is_json.then(|| Json::read(text.trim_ascii()))??;
    is_unambiguous(&object).then_some(object)
}

fn is_unambiguous(object: &Json) -> bool {
    let names: Option<BTreeSet<_>> = object.members().iter().map(|(name, _)| name.text()).collect();
    let is_each_once = names
        .is_some_and(|names| names.len() == object.members().len() && names.iter().all(|name| !name.contains('\0')));
    object.is_object() && is_each_once && object.members().len() <= 100
}

/// A public key has nothing of a private one.
fn public(key: &Json) {
    assert!(is_unambiguous(key), "{key:?}");
    assert!(["d", "p", "q", "k"].iter().all(|name| key.member(name).is_none()), "{key:?}");
    assert_ne!(key.member("kty").and_then(Json::text), Some("oct"), "{key:?}");
}

fn string(value: &Json) -> Option<&str> {
    value.text().filter(|text| !text.contains('\0'))
}

/// `Some(None)` for what is not there, `None` for what is wrong.
fn optional<'j, T>(object: &'j Json, name: &str, look: impl FnOnce(&'j Json) -> Option<T>) -> Option<Option<T>> {
    match object.member(name) {
        Some(value) => look(value).map(Some),
        None => Some(None),
    }
}

fn knows_only(object: &Json, names: &[&str]) -> bool {
    object.members().iter().all(|(name, _)| name.text().is_some_and(|name| names.contains(&name)))
}

fn header(object: &Json) -> Option<TokenHeader> {
    if !knows_only(object, &["alg", "typ", "kid", "x5t", "x5t#S256"]) {
        return None;
    }
    let kind = optional(object, "typ", string)?;
    let is_visible =
        |text: &&str| (1..=128).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    let key = optional(object, "kid", |value| string(value).filter(is_visible))?;
    kind.is_none_or(|kind| ["JWT", "at+jwt"].contains(&kind)).then_some(())?;
    Some(TokenHeader { algorithm: string(object.member("alg")?)?.to_owned(), key: key.map(str::to_owned) })
}

fn claims(object: &Json) -> Option<TokenClaims> {
    let audience = match object.member("aud")? {
        Json::String(_) => vec![string(object.member("aud")?)?.to_owned()],
        list => texts(list, 64)?,
    };
    let claim = object.member("synckairos")?;
    let is_claim = is_unambiguous(claim) && knows_only(claim, &["grants"]);
    let Json::Array(grants) = is_claim.then(|| claim.member("grants"))?? else { return None };
    let grants: Vec<_> = grants.iter().map(grant).collect::<Option<_>>()?;
    let sessions: usize = grants.iter().map(|grant| grant.sessions.len()).sum();
    (grants.len() <= 64 && sessions <= 256).then_some(())?;
    Some(TokenClaims {
        subject: plain(object.member("sub")?)?,
        expires_s: seconds(object.member("exp")?)?,
        not_before_s: optional(object, "nbf", seconds)?,
        issued_s: optional(object, "iat", seconds)?,
        audience,
        issuer: optional(object, "iss", string)?.map(str::to_owned),
        id: optional(object, "jti", plain)?,
        grants,
    })
}

fn grant(value: &Json) -> Option<GrantClaim> {
    (is_unambiguous(value) && knows_only(value, &["sessions", "as", "allow"])).then_some(())?;
    let participants = optional(value, "as", |value| {
        let Json::Array(values) = value else { return None };
        (values.len() <= 16).then_some(())?;
        values.iter().map(|value| uuid(value).ok().map(ParticipantId)).collect::<Option<Vec<_>>>()
    })?;
    Some(GrantClaim {
        sessions: texts(value.member("sessions")?, 256)?,
        participants: participants.unwrap_or_default(),
        allow: texts(value.member("allow")?, usize::MAX)?,
    })
}

fn texts(value: &Json, most: usize) -> Option<Vec<String>> {
    let Json::Array(values) = value else { return None };
    (values.len() <= most).then_some(())?;
    values.iter().map(|value| string(value).map(str::to_owned)).collect()
}

/// A text without control characters, and without those that change how a line is read.
fn plain(value: &Json) -> Option<String> {
    let text = string(value)?;
    let is_hidden = |next: char| {
        next.is_control()
            || "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(next)
    };
    ((1..=128).contains(&text.chars().count()) && !text.contains(is_hidden)).then(|| text.to_owned())
}

fn seconds(value: &Json) -> Option<u64> {
    let Json::Number(number) = value else { return None };
    let digits = Digits::of(number);
    (digits.whole() < 1 << 53 && (!digits.is_negative || digits.is_zero())).then(|| digits.whole())
}
