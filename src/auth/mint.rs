//! Makes tokens, for whoever has a secret that signs them. Does not know who gets them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use crate::engine::Timestamp;
use crate::wire::{self, GrantClaim, TokenClaims};

use super::key_set::{KeySet, patterns};
use super::provider;

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Who will have it.
    pub subject: String,
    /// How long it counts.
    pub lifetime_s: u64,
    /// What its holder may do.
    pub grant: GrantClaim,
    /// Which key signs it, if there is more than one.
    pub key: Option<String>,
}

/// Makes a token.
pub fn mint(keys: &KeySet, token: &NewToken, now: Timestamp) -> Result<String, String> {
    provider::install();
    let of_name = |name: &str| keys.secret_keys().find(|(id, _)| *id == name);
    let (id, key) = match &token.key {
        Some(name) => of_name(name).ok_or_else(|| format!("there is no key {name} of kind hs256"))?,
        None => keys.secret_keys().next().ok_or("there is no key of kind hs256, and no TOKEN_SECRET")?,
    };
    patterns(&token.grant.sessions)?;
    let now_s = now.as_ms() / 1_000;
    if token.lifetime_s > keys.rules.lifetime_max_s {
        return Err(format!("a token counts for {} s at most", keys.rules.lifetime_max_s));
    }
    let claims = TokenClaims {
        subject: token.subject.clone(),
        expires_s: now_s + token.lifetime_s,
        not_before_s: None,
        issued_s: Some(now_s),
        audience: vec![key.audience.clone()],
        issuer: key.issuer.clone(),
        id: None,
        grants: vec![token.grant.clone()],
    };
    let secret = key.key.try_get_as_bytes().map_err(|_| "the key cannot sign".to_owned())?;
    let secret = EncodingKey::from_secret(secret).map_err(|_| "the key cannot sign".to_owned())?;
    let header = format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{id}"}}"#);
    let message = [header, wire::claims_text(&claims)].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = crypto::sign(message.as_bytes(), &secret, Algorithm::HS256);
    let signature = signature.map_err(|_| "it cannot be signed".to_owned())?;
    Ok(format!("{message}.{signature}"))
}
