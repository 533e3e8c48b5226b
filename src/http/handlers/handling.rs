//! How a client prefers requests with unknown fields to be handled (RFC 7240, section 4.4). Does not know which fields there
//! are.

use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::{self, FieldProblems, KnownFields, Object};

use super::super::response::Response;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Says what was done as the client wants it.
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const STRICT: HeaderValue = HeaderValue::from_static("handling=strict");

/// What becomes of unknown fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Handling {
    /// They are ignored.
    Lenient,
    /// Each is a problem.
    Strict,
}

impl Handling {
    /// What a client wants of a request that changes something; of preferences with the same name the first counts.
    pub(in crate::http) fn preferred(method: &Method, headers: &HeaderMap) -> Self {
        if method.is_safe() || !headers.contains_key(PREFER) {
            return Handling::Lenient;
        }
        let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        let preferences = values.flat_map(|value| value.split(',')).filter_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            name.trim().eq_ignore_ascii_case("handling").then(|| value.trim().trim_matches('"'))
        });
        match preferences.map(str::to_ascii_lowercase).next().as_deref() {
            Some("strict") => Handling::Strict,
            Some(_) | None => Handling::Lenient,
        }
    }

    /// The answer to a request that could have had fields, with what was done as its client wants it.
    pub(in crate::http) fn applied(self, reply: Response) -> Response {
        match self {
            Handling::Strict => reply.with(PREFERENCE_APPLIED, STRICT),
            Handling::Lenient => reply,
        }
    }

    /// Adds what is wrong with the fields of a request.
    pub(in crate::http) fn check(self, body: &Object<'_>, known: KnownFields, problems: &mut FieldProblems) {
        match self {
            Handling::Lenient => {}
            Handling::Strict => wire::unknown_fields(body, known, problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Handling, PREFER};
    use hyper::Method;
    use hyper::header::{HeaderMap, HeaderValue};

    #[test]
    fn is_read_as_the_standard_says() {
        for (values, is_strict) in [
            (&["handling=strict"][..], true),
            (&["respond-async, Handling = \"strict\" ; a=b"], true),
            (&["return=minimal", "handling=Strict"], true),
            (&["handling=strict, handling=lenient"], true),
            (&["handling=lenient, handling=strict"], false),
            (&["handling=lenient"], false),
            (&["handling"], false),
            (&["strict"], false),
            (&[], false),
        ] {
            let headers: HeaderMap = values.iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect();
            assert_eq!(Handling::preferred(&Method::POST, &headers) == Handling::Strict, is_strict, "{values:?}");
            assert_eq!(Handling::preferred(&Method::GET, &headers), Handling::Lenient, "{values:?}");
        }
    }
}
