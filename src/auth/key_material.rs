//! Keys as the library has them: made of the numbers that a file gives, and refused when they are too weak. Does not know whose they
//! are.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};

use crate::wire::{Jwk, JwkMaterial};

/// The least secret that signs tokens, in bytes.
const SECRET_LEN_MIN: usize = 32;
/// What ring verifies, in bits of the modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The algorithm of a name, if tokens may have it.
pub(super) fn named(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// A secret in base64url.
pub(super) fn secret_key(secret: &str) -> Result<DecodingKey, String> {
    let bytes = decoded(secret).ok_or("secret: must be base64url without padding")?;
    if bytes.len() < SECRET_LEN_MIN {
        return Err(format!("secret: must be {SECRET_LEN_MIN} bytes or more, has {}", bytes.len()));
    }
    DecodingKey::from_secret(&bytes).map_err(|_| "secret: cannot be used".to_owned())
}

/// A public key, and the one algorithm that it is for.
pub(super) fn public_key(jwk: &Jwk) -> Result<(Algorithm, DecodingKey), String> {
    let number = |name: &str, text: &str| decoded(text).ok_or_else(|| format!("{name}: must be base64url"));
    let point = |name: &str, text: &str| {
        let bytes = number(name, text)?;
        if bytes.len() == 32 { Ok(bytes) } else { Err(format!("{name}: must be 32 bytes, has {}", bytes.len())) }
    };
    let (algorithm, key) = match &jwk.material {
        JwkMaterial::Rsa { n, e } => {
            let (n, e) = (number("n", n)?, number("e", e)?);
            let significant = &n[n.iter().take_while(|byte| **byte == 0).count()..];
            let bits = significant.len() * 8 - significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
            if !RSA_BITS.contains(&bits) {
                return Err(format!("n: must have 2048 to 8192 bits, has {bits}"));
            }
            (Algorithm::RS256, DecodingKey::from_rsa_raw_components(significant, &e))
        }
        JwkMaterial::P256 { x, y } => {
            let whole = [&[4][..], &point("x", x)?, &point("y", y)?].concat();
            (Algorithm::ES256, DecodingKey::from_ec_der(&whole))
        }
        JwkMaterial::Ed25519 { x } => (Algorithm::EdDSA, DecodingKey::from_ed_der(&point("x", x)?)),
    };
    match jwk.algorithm.as_deref() {
        Some(name) if named(name) != Some(algorithm) => Err(format!("alg: {name:?} is not what this key is for")),
        Some(_) | None => Ok((algorithm, key)),
    }
}

/// What stands in base64url.
fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// What is wrong with a set that somebody else keeps.
pub(super) fn check_set(set: &[Jwk]) -> Result<(), String> {
    let is_unused = |jwk: &&Jwk| jwk.algorithm.as_deref().is_some_and(|name| named(name).is_none());
    let mut ids = HashSet::new();
    for jwk in set.iter().filter(|jwk| !is_unused(jwk)) {
        let Some(id) = &jwk.id else { continue };
        public_key(jwk).map_err(|why| format!("{id}: {why}"))?;
        if !ids.insert(id) {
            return Err(format!("two keys have the id {id}"));
        }
    }
    Ok(())
}
