//! Revocations: which tokens count no more although they have not ended, as a request asks for it, as it is answered and as it is
//! kept. Does not know where it is kept, nor what becomes of a token.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::engine::{SessionId, Timestamp, Uuid};

use super::claims::NAME_LEN_MAX;
use super::instant::instant_text;
use super::json::Raw;
use super::json_object::{NotJson, Object};
use super::json_values::{self, FieldResult};
use super::keys_file;
use super::members::{Malformed, Members, plain_text};
use super::strict::told;
use super::validation::{self, FieldProblem, FieldProblems, ProblemCode};
use super::write::json;

/// Tokens that count no more, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// Which.
    pub target: RevocationTarget,
    /// Those that were made before this instant; `None` is all.
    pub issued_before: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
}

/// Which tokens are revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// Those of a subject.
    Subject(Arc<str>),
    /// Those of a subject, in one session.
    SubjectIn(SessionId, Arc<str>),
    /// The one of a name (`jti`).
    Token(Arc<str>),
}

/// A revocation as somebody asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRequest {
    /// Which tokens.
    pub target: RevocationTarget,
    /// Those that were made before this instant.
    pub issued_before: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

impl RevocationTarget {
    /// A text for each, like that of no other.
    pub fn name(&self) -> String {
        match self {
            Self::Subject(subject) => format!("sub:{subject}"),
            Self::SubjectIn(id, subject) => format!("session:{id}:sub:{subject}"),
            Self::Token(id) => format!("jti:{id}"),
        }
    }

    /// The one of such a name.
    pub fn named(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once(':')?;
        match kind {
            "sub" => Some(Self::Subject(rest.into())),
            "jti" => Some(Self::Token(rest.into())),
            "session" => {
                let (id, subject) = rest.split_once(":sub:")?;
                Some(Self::SubjectIn(SessionId(Uuid::parse(id)?), subject.into()))
            }
            _ => None,
        }
    }
}

/// Reads a request. What it does not know could narrow it, so that it is a problem and not passed over.
pub fn revocation_request(body: &[u8], problems: &mut FieldProblems) -> Result<Option<RevocationRequest>, NotJson> {
    Object::parse(body, problems)?;
    if !problems.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(body).unwrap_or_default();
    let mut members = match Members::read(if text.is_empty() { "{}" } else { text }) {
        Ok(members) => members,
        Err(Malformed(why)) => {
            report(problems, "", ProblemCode::InvalidValue, why);
            return Ok(None);
        }
    };
    let name = |members: &mut Members<'_>, name, problems: &mut FieldProblems| {
        field(members, name, problems, |value| plain_text(value, NAME_LEN_MAX)).map(Arc::from)
    };
    let subject: Option<Arc<str>> = name(&mut members, "sub", problems);
    let token: Option<Arc<str>> = name(&mut members, "jti", problems);
    let session = field(&mut members, "session_id", problems, |value| json_values::uuid(value).map(SessionId));
    let issued_before = field(&mut members, "issued_before", problems, keys_file::instant);
    let until = field(&mut members, "until", problems, keys_file::instant);
    for unknown in members.names().take(validation::ENOUGH) {
        report(problems, told(unknown), ProblemCode::InvalidValue, "Unknown field");
    }
    if !problems.is_empty() {
        return Ok(None);
    }
    let target = match (subject, token, session) {
        (Some(subject), None, None) => RevocationTarget::Subject(subject),
        (Some(subject), None, Some(id)) => RevocationTarget::SubjectIn(id, subject),
        (None, Some(token), None) => RevocationTarget::Token(token),
        (None, None, _) => {
            report(problems, "sub", ProblemCode::InvalidType, "Required, alone or with session_id; or jti");
            return Ok(None);
        }
        (_, Some(_), _) => {
            report(problems, "jti", ProblemCode::InvalidValue, "Must stand alone: it names one token");
            return Ok(None);
        }
    };
    Ok(Some(RevocationRequest { target, issued_before, until }))
}

fn field<'a, T>(
    members: &mut Members<'a>,
    name: &str,
    problems: &mut FieldProblems,
    look: impl FnOnce(Raw<'a>) -> FieldResult<T>,
) -> Option<T> {
    match look(members.take(name)?) {
        Ok(value) => Some(value),
        Err(error) => {
            report(problems, name, error.code, error.message);
            None
        }
    }
}

fn report(problems: &mut FieldProblems, field: &str, code: ProblemCode, message: impl Into<Cow<'static, str>>) {
    validation::add(problems, || FieldProblem { field: field.to_owned(), message: message.into(), code });
}

/// A revocation and until when it holds, as it is kept.
pub fn revocation_text(revocation: &Revocation) -> String {
    #[derive(Serialize)]
    struct Kept<'r> {
        #[serde(flatten)]
        target: Target<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        issued_before_ms: Option<u64>,
        until_ms: u64,
    }
    let kept = Kept {
        target: Target::of(&revocation.target),
        issued_before_ms: revocation.issued_before.map(Timestamp::as_ms),
        until_ms: revocation.until.as_ms(),
    };
    serde_json::to_string(&kept).expect("texts and numbers are JSON")
}

/// What was kept; `None` when it is something else, or says more than is known here.
pub fn read_revocation(text: &str) -> Option<Revocation> {
    let ms = |value| json_values::integer(value, 0, u64::MAX).map(Timestamp::from_ms);
    let name = |value| json_values::string(value).map(|name| Arc::<str>::from(&*name));
    let mut members = Members::read(text).ok()?;
    let subject = members.optional("sub", name).ok()?;
    let token = members.optional("jti", name).ok()?;
    let session = members.optional("session_id", |value| json_values::uuid(value).map(SessionId)).ok()?;
    let issued_before = members.optional("issued_before_ms", ms).ok()?;
    let until = members.required("until_ms", ms).ok()?;
    members.end().ok()?;
    let target = match (subject, token, session) {
        (Some(subject), None, None) => RevocationTarget::Subject(subject),
        (Some(subject), None, Some(id)) => RevocationTarget::SubjectIn(id, subject),
        (None, Some(token), None) => RevocationTarget::Token(token),
        (_, _, _) => return None,
    };
    Some(Revocation { target, issued_before, until })
}

/// The answer: what is revoked, until when, and whether that outlives the process.
pub fn revoked(revocation: &Revocation, is_durable: bool) -> Bytes {
    #[derive(Serialize)]
    struct Answer<'r> {
        data: Revoked<'r>,
    }
    #[derive(Serialize)]
    struct Revoked<'r> {
        #[serde(flatten)]
        target: Target<'r>,
        #[serde(skip_serializing_if = "Option::is_none")]
        issued_before: Option<String>,
        until: String,
        durable: bool,
    }
    json(&Answer {
        data: Revoked {
            target: Target::of(&revocation.target),
            issued_before: revocation.issued_before.map(instant_text),
            until: instant_text(revocation.until),
            durable: is_durable,
        },
    })
}

/// Which tokens, as members.
#[derive(Default, Serialize)]
struct Target<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

impl<'r> Target<'r> {
    fn of(target: &'r RevocationTarget) -> Self {
        match target {
            RevocationTarget::Subject(subject) => Self { sub: Some(subject), ..Self::default() },
            RevocationTarget::SubjectIn(id, subject) => {
                Self { sub: Some(subject), session_id: Some(id.to_string()), ..Self::default() }
            }
            RevocationTarget::Token(id) => Self { jti: Some(id), ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

    fn problems(body: &str) -> Vec<String> {
        let mut problems = FieldProblems::new();
        let read = revocation_request(body.as_bytes(), &mut problems).expect("it is JSON");
        assert_eq!(read.is_none(), !problems.is_empty(), "{body}");
        problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.code.name())).collect()
    }

    #[test]
    fn it_names_a_subject_or_a_token_and_nothing_that_is_unknown() {
        for right in [
            r#"{"sub":"a"}"#.to_owned(),
            r#"{"jti":"a","issued_before":1,"until":2}"#.to_owned(),
            format!(r#"{{"sub":"a","session_id":"{ID}","until":"2026-01-31T12:00:00Z"}}"#),
        ] {
            assert_eq!(problems(&right), Vec::<String>::new(), "{right}");
        }
        for (wrong, expected) in [
            ("", "sub: invalid_type"),
            ("{}", "sub: invalid_type"),
            ("[]", ": invalid_type"),
            (r#"{"session_id":"550e8400-e29b-41d4-a716-446655440000"}"#, "sub: invalid_type"),
            (r#"{"sub":"a","jti":"b"}"#, "jti: invalid_value"),
            (r#"{"jti":"b","session_id":"550e8400-e29b-41d4-a716-446655440000"}"#, "jti: invalid_value"),
            (r#"{"sub":"a","session_id":"x"}"#, "session_id: invalid_format"),
            (r#"{"sub":"a","Until":1}"#, "Until: invalid_value"),
            (r#"{"sub":"a","sub":"b"}"#, ": invalid_value"),
            (r#"{"sub":""}"#, "sub: invalid_value"),
            (r#"{"sub":null}"#, "sub: invalid_type"),
            (r#"{"sub":"a","until":"soon"}"#, "until: invalid_format"),
            (r#"{"sub":"a","issued_before":-1}"#, "issued_before: invalid_value"),
        ] {
            assert_eq!(problems(wrong), [expected], "{wrong}");
        }
        assert!(revocation_request(b"{", &mut FieldProblems::new()).is_err());
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_says_more_is_not() {
        let id = SessionId(Uuid::parse(ID).expect("it is one"));
        let targets = [
            RevocationTarget::Subject("a\"b".into()),
            RevocationTarget::SubjectIn(id, "sub:a".into()),
            RevocationTarget::Token("jti:a".into()),
        ];
        for (n, target) in targets.into_iter().enumerate() {
            assert_eq!(RevocationTarget::named(&target.name()).as_ref(), Some(&target));
            let issued_before = (n > 0).then(|| Timestamp::from_ms(1_795_000_000_123));
            let revocation = Revocation { target, issued_before, until: Timestamp::from_ms(u64::MAX) };
            let text = revocation_text(&revocation);
            assert_eq!(read_revocation(&text), Some(revocation), "{text}");
        }
        for wrong in [
            "",
            "{}",
            r#"{"sub":"a"}"#,
            r#"{"until_ms":1}"#,
            r#"{"sub":"a","until_ms":-1}"#,
            r#"{"sub":"a","jti":"b","until_ms":1}"#,
            r#"{"sub":"a","address":"10.0.0.1","until_ms":1}"#,
        ] {
            assert_eq!(read_revocation(wrong), None, "{wrong}");
        }
    }
}
