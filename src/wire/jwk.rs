//! Public keys as JSON (RFC 7517, RFC 7518, RFC 8037), alone or in a set. Does not know what they sign.

use super::json::Raw;
use super::json_values::{self, FieldResult};
use super::members::{Malformed, Members, texts};

/// Keys of a set at most.
const KEYS_MAX: usize = 100;
/// The longest modulus that is used has 8,192 bits.
const TEXT_LEN_MAX: usize = 2_048;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    /// Its name.
    pub id: Option<String>,
    /// The only algorithm that it is for.
    pub algorithm: Option<String>,
    /// The key itself, its numbers in base64url.
    pub material: JwkMaterial,
}

/// The numbers of a key, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwkMaterial {
    /// RSA.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// On the curve P-256.
    P256 {
        /// One coordinate.
        x: String,
        /// The other.
        y: String,
    },
    /// Ed25519.
    Ed25519 {
        /// The point.
        x: String,
    },
}

/// Reads one key.
pub fn jwk(json: &str) -> Result<Jwk, Malformed> {
    match read(json)? {
        Ok(key) => Ok(key),
        Err(kind) => Err(Malformed(kind)),
    }
}

/// Reads a set; keys of kinds that are not used are left out, and those that may not stand in one spoil it.
pub fn jwk_set(json: &str) -> Result<Vec<Jwk>, Malformed> {
    let mut members = Members::read(json)?;
    let listed = members.required("keys", |value| json_values::array_of(value, 0, KEYS_MAX))?;
    let mut keys = Vec::with_capacity(listed.len());
    for (place, value) in listed.into_iter().enumerate() {
        let key = read(value.get()).map_err(|malformed| malformed.inside(&format!("keys.{place}")))?;
        keys.extend(key.ok());
    }
    Ok(keys)
}

/// A key; inside, the kind that is not used.
fn read(json: &str) -> Result<Result<Jwk, String>, Malformed> {
    let mut members = Members::read(json)?;
    let kind = members.required("kty", string)?;
    if kind == "oct" {
        return Err(Malformed("kty: a secret does not belong here".to_owned()));
    }
    if ["d", "p", "q", "k"].into_iter().any(|name| members.take(name).is_some()) {
        return Err(Malformed("a private key does not belong here".to_owned()));
    }
    if members.optional("use", string)?.is_some_and(|usage| usage != "sig") {
        return Ok(Err("use: must be sig".to_owned()));
    }
    let operations = members.optional("key_ops", |value| texts(value, 16))?;
    if operations.is_some_and(|all| all.iter().all(|operation| operation != "verify")) {
        return Ok(Err("key_ops: must have verify".to_owned()));
    }
    let id = members.optional("kid", super::claims::key_id)?;
    let algorithm = members.optional("alg", string)?;
    let curve = members.optional("crv", string)?;
    let material = match (&*kind, curve.as_deref()) {
        ("RSA", None) => JwkMaterial::Rsa { n: members.required("n", number)?, e: members.required("e", number)? },
        ("EC", Some("P-256")) => {
            JwkMaterial::P256 { x: members.required("x", number)?, y: members.required("y", number)? }
        }
        ("OKP", Some("Ed25519")) => JwkMaterial::Ed25519 { x: members.required("x", number)? },
        _ => return Ok(Err("kty: must be RSA, EC with crv P-256, or OKP with crv Ed25519".to_owned())),
    };
    Ok(Ok(Jwk { id, algorithm, material }))
}

fn string(value: Raw<'_>) -> FieldResult<String> {
    json_values::string(value).map(String::from)
}

fn number(value: Raw<'_>) -> FieldResult<String> {
    let text = json_values::string(value)?;
    if text.len() > TEXT_LEN_MAX {
        let message = format!("Must be at most {TEXT_LEN_MAX} characters");
        return Err(json_values::field_error(super::validation::ProblemCode::TooBig, message));
    }
    Ok(text.into_owned())
}
