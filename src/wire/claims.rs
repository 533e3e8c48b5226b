//! Tokens as they are written (RFC 7515, RFC 7519): what a header and claims must say to be looked at, and the grants in them.
//! Does not know who signed them, nor what time it is.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::engine::ParticipantId;

use super::decimal::Decimal;
use super::json::Raw;
use super::json_values::{self, FieldResult, field_error, unexpected};
use super::members::{Malformed, Members, plain_text, texts};
use super::validation::ProblemCode;

/// The longest subject and the longest name of a token or a key, in characters.
pub(super) const NAME_LEN_MAX: usize = 128;
const GRANTS_MAX: usize = 64;
/// Session entries of all grants of a token.
const SESSIONS_MAX: usize = 256;
/// Participants of one grant.
const PARTICIPANTS_MAX: usize = 16;
const AUDIENCES_MAX: usize = 64;
/// The latest instant, in seconds, that every JSON reader keeps exactly.
const SECONDS_MAX: u64 = (1 << 53) - 1;

/// The header of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHeader {
    /// The algorithm that it says it was signed with.
    pub algorithm: String,
    /// The key that it says it was signed with.
    pub key: Option<String>,
}

/// Reads a header. What would change how the token is to be read is refused, and so is what nobody knows.
pub fn token_header(json: &str) -> Result<TokenHeader, Malformed> {
    let mut members = Members::read(json)?;
    let algorithm = members.required("alg", |value| json_values::string(value).map(String::from))?;
    let kind = members.optional("typ", |value| json_values::string(value).map(String::from))?;
    if kind.is_some_and(|kind| kind != "JWT" && kind != "at+jwt") {
        return Err(Malformed("typ: must be JWT or at+jwt".to_owned()));
    }
    let key = members.optional("kid", key_id)?;
    // Thumbprints of certificates, which nothing here looks at.
    members.take("x5t");
    members.take("x5t#S256");
    members.end()?;
    Ok(TokenHeader { algorithm, key })
}

/// The name of a key.
pub(super) fn key_id(value: Raw<'_>) -> FieldResult<String> {
    let text = json_values::string(value)?;
    if (1..=NAME_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.into_owned());
    }
    let message = format!("Must be 1 to {NAME_LEN_MAX} visible ASCII characters");
    Err(field_error(ProblemCode::InvalidValue, message))
}

/// What a token claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// Who has it.
    pub subject: String,
    /// When it ends, in seconds since 1970.
    pub expires_s: u64,
    /// When it begins.
    pub not_before_s: Option<u64>,
    /// When it was made.
    pub issued_s: Option<u64>,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// Who made it.
    pub issuer: Option<String>,
    /// Its own name.
    pub id: Option<String>,
    /// What its holder may do.
    pub grants: Vec<GrantClaim>,
}

/// One grant, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantClaim {
    /// In which sessions.
    pub sessions: Vec<String>,
    /// As which participants.
    pub participants: Vec<ParticipantId>,
    /// What.
    pub allow: Vec<String>,
}

/// Reads claims. Those of others are passed over; those of the claim `synckairos` must all be known, since a restriction that is
/// not known must not be ignored.
pub fn token_claims(json: &str) -> Result<TokenClaims, Malformed> {
    let mut members = Members::read(json)?;
    let subject = members.required("sub", |value| plain_text(value, NAME_LEN_MAX))?;
    let expires_s = members.required("exp", seconds)?;
    let not_before_s = members.optional("nbf", seconds)?;
    let issued_s = members.optional("iat", seconds)?;
    let audience = members.required("aud", audience)?;
    let issuer = members.optional("iss", |value| json_values::string(value).map(String::from))?;
    let id = members.optional("jti", |value| plain_text(value, NAME_LEN_MAX))?;
    let granted = members.required("synckairos", |value| Ok(value.get()))?;
    let grants = grants(granted).map_err(|malformed| malformed.inside("synckairos"))?;
    Ok(TokenClaims { subject, expires_s, not_before_s, issued_s, audience, issuer, id, grants })
}

/// Who says that they made a token, before anything is known of it.
pub fn token_issuer(json: &str) -> Result<Option<String>, Malformed> {
    Members::read(json)?.optional("iss", |value| json_values::string(value).map(String::from))
}

/// Claims as they are signed.
pub fn claims_text(claims: &TokenClaims) -> String {
    #[derive(Serialize)]
    struct Written<'c> {
        sub: &'c str,
        iat: Option<u64>,
        exp: u64,
        aud: &'c [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        iss: Option<&'c str>,
        synckairos: WrittenGrants<'c>,
    }
    #[derive(Serialize)]
    struct WrittenGrants<'c> {
        grants: Vec<WrittenGrant<'c>>,
    }
    #[derive(Serialize)]
    struct WrittenGrant<'c> {
        sessions: &'c [String],
        #[serde(rename = "as", skip_serializing_if = "Vec::is_empty")]
        participants: Vec<String>,
        allow: &'c [String],
    }
    let mut grants = Vec::with_capacity(claims.grants.len());
    for one in &claims.grants {
        grants.push(WrittenGrant {
            sessions: &one.sessions,
            participants: one.participants.iter().map(ToString::to_string).collect(),
            allow: &one.allow,
        });
    }
    let written = Written {
        sub: &claims.subject,
        iat: claims.issued_s,
        exp: claims.expires_s,
        aud: &claims.audience,
        iss: claims.issuer.as_deref(),
        synckairos: WrittenGrants { grants },
    };
    serde_json::to_string(&written).expect("texts and numbers are JSON")
}

/// The grants of a claim.
fn grants(json: &str) -> Result<Vec<GrantClaim>, Malformed> {
    let mut members = Members::read(json)?;
    let listed = members.required("grants", |value| json_values::array_of(value, 0, GRANTS_MAX))?;
    members.end()?;
    let mut grants = Vec::with_capacity(listed.len());
    for (place, value) in listed.into_iter().enumerate() {
        grants.push(grant(value.get()).map_err(|malformed| malformed.inside(&format!("grants.{place}")))?);
    }
    if grants.iter().map(|grant| grant.sessions.len()).sum::<usize>() > SESSIONS_MAX {
        return Err(Malformed(format!("grants: must have at most {SESSIONS_MAX} sessions")));
    }
    Ok(grants)
}

fn grant(json: &str) -> Result<GrantClaim, Malformed> {
    let mut members = Members::read(json)?;
    let sessions = members.required("sessions", |value| texts(value, SESSIONS_MAX))?;
    let participants = members.optional("as", |value| {
        let values = json_values::array_of(value, 0, PARTICIPANTS_MAX)?;
        values.into_iter().map(|value| json_values::uuid(value).map(ParticipantId)).collect()
    })?;
    let allow = members.required("allow", |value| texts(value, usize::MAX))?;
    members.end()?;
    Ok(GrantClaim { sessions, participants: participants.unwrap_or_default(), allow })
}

/// Seconds since 1970, rounded down.
pub(super) fn seconds(value: Raw<'_>) -> FieldResult<u64> {
    if json_values::kind(value) != "number" {
        return Err(unexpected("number", value));
    }
    let number = Decimal::read(value.get());
    let (whole, _) = number.whole();
    if number.is_negative && !number.is_zero() || whole > SECONDS_MAX {
        return Err(field_error(ProblemCode::InvalidValue, "Must be seconds since 1970"));
    }
    Ok(whole)
}

/// One, or a list of them.
fn audience(value: Raw<'_>) -> FieldResult<Vec<String>> {
    match json_values::kind(value) {
        "array" => texts(value, AUDIENCES_MAX),
        _ => json_values::string(value).map(|one| vec![one.into_owned()]),
    }
}

/// The claims of a token whose signature is right, as they stand there.
#[derive(Debug)]
pub struct VerifiedClaims(Box<RawValue>);

impl VerifiedClaims {
    /// The JSON.
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl<'de> Deserialize<'de> for VerifiedClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}
