//! Judges a token: its form, whose key it names, its signature, whom it is for and when it counts. The library verifies; what it lets
//! through and must not count is refused here. Does not know who sent it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation, decode};

use crate::clock::Moment;
use crate::engine::Timestamp;
use crate::wire::{self, GrantClaim, Malformed, TokenClaims, VerifiedClaims};

use super::grant::Grant;
use super::identity::{Identity, IdentityName};
use super::key_material;
use super::key_set::{self, KeySet, SigningKey};
use super::permission::Permissions;
use super::refusal::AuthError;

/// The longest token, in bytes.
pub(super) const TOKEN_LEN_MAX: usize = 8_192;

/// When a token is judged: by the operating system's time of day, since its issuer went by another machine's, and on the clock that
/// nobody sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instants {
    pub(super) wall: Timestamp,
    pub(super) moment: Moment,
}

/// By which keys, and by which keys and revocations, somebody is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generations {
    pub(super) keys: u64,
    pub(super) all: u64,
}

/// Decides whether a signature that is costly to verify is looked at, and is told when it was wrong.
pub(super) trait VerificationBudget {
    fn may_verify(&self) -> bool;
    fn failed(&self);
}

/// Whom a token is about.
pub(super) fn identify(
    set: &KeySet,
    judged: Generations,
    token: &str,
    now: Instants,
    budget: &impl VerificationBudget,
) -> Result<Identity, AuthError> {
    let invalid = |Malformed(why)| AuthError::invalid(why);
    if token.len() > TOKEN_LEN_MAX {
        return Err(AuthError::invalid(format!("it is longer than {TOKEN_LEN_MAX} bytes")));
    }
    let parts: Vec<_> = token.splitn(4, '.').collect();
    let [header, payload, _] = parts[..] else { return Err(AuthError::invalid("it does not have three parts")) };
    let header = text_of(header).ok_or_else(|| AuthError::invalid("its header is not base64url of text"))?;
    let header = wire::token_header(&header).map_err(invalid)?;
    let algorithm = key_material::named(&header.algorithm);
    let algorithm = algorithm.ok_or_else(|| AuthError::invalid("alg: must be HS256, RS256, ES256 or EdDSA"))?;
    let payload = text_of(payload).ok_or_else(|| AuthError::invalid("its claims are not base64url of text"))?;
    // Nothing of it counts before the signature: it says which key to try.
    let issuer = wire::token_issuer(&payload).map_err(invalid)?;
    let keys = set.signing_keys(header.key.as_deref(), algorithm, issuer.as_deref());
    let keys: Vec<_> = keys.filter(|key| key.rights.window.is_open(now.wall)).collect();
    if keys.is_empty() {
        if let Some(error) = header.key.and_then(|_| set.may_come(issuer.as_deref())) {
            return Err(error);
        }
        return Err(AuthError::invalid("no key has this kid, algorithm and issuer"));
    }
    if algorithm != Algorithm::HS256 && !budget.may_verify() {
        return Err(AuthError::TooMany);
    }
    let verified = keys.into_iter().find_map(|key| Some((key, verify(token, key)?)));
    let Some((key, claims)) = verified else {
        if algorithm != Algorithm::HS256 {
            budget.failed();
        }
        return Err(AuthError::invalid("its signature is wrong"));
    };
    let claims = wire::token_claims(claims.json()).map_err(invalid)?;
    judge(&claims, key, set, now)?;
    let grants = claims.grants.iter().enumerate();
    let grants = grants.map(|(place, claim)| grant(claim, place, key.rights.allow)).collect::<Result<_, _>>()?;
    let of_key = |at: u64| {
        let at = Timestamp::from_ms(at.saturating_mul(1_000));
        key.rights.window.not_after.map_or(at, |until| until.min(at))
    };
    let (expires, until) = (of_key(claims.expires_s), of_key(claims.expires_s + set.rules.leeway_s));
    let name = IdentityName::Subject(claims.subject.into());
    Ok(Identity {
        counted: name.counted(),
        actor: name.to_string().into(),
        name,
        grants,
        ceiling: key.rights.sessions.clone(),
        expires_s: Some(expires.as_ms() / 1_000),
        expires: Some(now.end(expires)),
        ends: Some(now.end(until)),
        key: key.rights.fingerprint,
        issued: claims.issued_s.map(|seconds| Timestamp::from_ms(seconds.saturating_mul(1_000))),
        token: claims.id.map(String::into_boxed_str),
        revoked_in: [].into(),
        key_generation: judged.keys,
        generation: judged.all,
    })
}

impl Instants {
    /// When an instant of the time of day is reached, if nobody sets that meanwhile.
    pub(super) fn end(self, at: Timestamp) -> Moment {
        self.moment + Duration::from_millis(at.since(self.wall).as_ms())
    }
}

/// The claims, if the signature is the key's. Times are judged by us: the library would ask the operating system for them.
fn verify(token: &str, key: &SigningKey) -> Option<VerifiedClaims> {
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    decode(token, &key.key, &validation).ok().map(|data| data.claims)
}

fn judge(claims: &TokenClaims, key: &SigningKey, set: &KeySet, now: Instants) -> Result<(), AuthError> {
    let now_ms = now.wall.as_ms();
    let leeway_ms = set.rules.leeway_s * 1_000;
    let ms = |seconds: u64| seconds.saturating_mul(1_000);
    if claims.audience.iter().all(|audience| *audience != key.audience) {
        return Err(AuthError::invalid("aud: it is not for here"));
    }
    if key.issuer.is_some() && claims.issuer != key.issuer {
        return Err(AuthError::invalid("iss: the key is not this issuer's"));
    }
    if claims.not_before_s.is_some_and(|from| ms(from) > now_ms + leeway_ms) {
        return Err(AuthError::invalid("nbf: it does not count yet"));
    }
    if claims.issued_s.is_some_and(|at| ms(at) > now_ms + leeway_ms) {
        return Err(AuthError::invalid("iat: it is not made yet"));
    }
    if ms(claims.expires_s).saturating_sub(now_ms) > ms(set.rules.lifetime_max_s) {
        return Err(AuthError::invalid(format!("exp: more than {} s ahead", set.rules.lifetime_max_s)));
    }
    if now_ms >= ms(claims.expires_s) + leeway_ms {
        return Err(AuthError::Expired);
    }
    Ok(())
}

/// A grant, as far as the key allows it; what it asks for beyond is cut off.
fn grant(claim: &GrantClaim, place: usize, ceiling: Permissions) -> Result<Grant, AuthError> {
    let sessions = key_set::patterns(&claim.sessions);
    let sessions = sessions.map_err(|why| AuthError::invalid(format!("synckairos.grants.{place}.{why}")))?;
    let allow = Permissions::named(claim.allow.iter().map(String::as_str), |_| {});
    let allow = allow & ceiling & Permissions::OF_TOKENS;
    Ok(Grant {
        sessions: sessions.iter().copied().collect(),
        participants: claim.participants.as_slice().into(),
        allow,
    })
}

/// The text that a part of a token is.
fn text_of(part: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
