//! Whose pages may read answers and open WebSockets: one list for both. Does not know what they ask for.

use std::str::FromStr;

/// The origins that are allowed (RFC 6454, section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every one.
    Any,
    /// Pages of this machine, at any port.
    Local,
    /// Those of a list.
    List(Box<[OriginPattern]>),
}

/// One or more origins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// Exactly this one.
    Exact(Box<str>),
    /// All below a domain.
    Below {
        /// With the two slashes.
        scheme: Box<str>,
        /// From the dot before it on, with the port.
        domain: Box<str>,
    },
}

impl AllowedOrigins {
    /// Whether an origin is allowed.
    pub fn allows(&self, origin: &[u8]) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        match self {
            Self::Any => true,
            Self::Local => is_local(origin),
            Self::List(patterns) => patterns.iter().any(|pattern| pattern.matches(origin)),
        }
    }

    /// The only one that there is, if there is only one: all answers can say the same.
    pub(super) fn only(&self) -> Option<&str> {
        match self {
            Self::Any => Some("*"),
            Self::Local => None,
            Self::List(patterns) => match &patterns[..] {
                [OriginPattern::Exact(origin)] => Some(origin),
                _ => None,
            },
        }
    }
}

impl OriginPattern {
    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *origin,
            Self::Below { scheme, domain } => {
                let name = origin.strip_prefix(&**scheme).and_then(|rest| rest.strip_suffix(&**domain));
                name.is_some_and(|name| name.split('.').all(is_label))
            }
        }
    }
}

/// A part of a name between dots.
fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    !label.is_empty() && label.bytes().all(is_part)
}

/// Whether the page is of this machine.
fn is_local(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let names = ["localhost", "127.0.0.1", "[::1]"];
    rest.is_some_and(|rest| names.into_iter().filter_map(|name| rest.strip_prefix(name)).any(is_port_or_nothing))
}

/// Whether nothing but a port follows a name.
pub(super) fn is_port_or_nothing(rest: &str) -> bool {
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)
}

/// `*`, or origins between commas: each whole, or `https://*.example.org` for all below a domain, or `null`.
impl FromStr for AllowedOrigins {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(|origin| pattern(origin.trim())).collect::<Option<_>>().map(Self::List).ok_or(())
    }
}

fn pattern(text: &str) -> Option<OriginPattern> {
    if text == "null" {
        return Some(OriginPattern::Exact(text.into()));
    }
    let (scheme, host) = text.split_once("://")?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#,*@\\".contains(&byte);
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (domain, is_below) = host.strip_prefix('*').map_or((host, false), |domain| (domain, true));
    if !is_scheme || !domain.bytes().all(is_plain) || domain.trim_start_matches('.').is_empty() {
        return None;
    }
    let text = text.to_ascii_lowercase();
    if !is_below {
        return Some(OriginPattern::Exact(text.into()));
    }
    let (scheme, domain) = text.split_once('*')?;
    domain.starts_with('.').then(|| OriginPattern::Below { scheme: scheme.into(), domain: domain.into() })
}

#[cfg(test)]
mod tests {
    use super::AllowedOrigins;

    #[test]
    fn origins_are_compared_whole() {
        let list: AllowedOrigins = "https://example.org, https://*.example.net:8443".parse().expect("they are origins");
        for (origin, is_allowed) in [
            ("https://example.org", true),
            ("https://example.org.evil.com", false),
            ("https://evil-example.org", false),
            ("https://example.org:8443", false),
            ("http://example.org", false),
            ("HTTPS://EXAMPLE.ORG", false),
            ("https://example.org, https://evil.com", false),
            ("null", false),
            ("", false),
            ("https://a.example.net:8443", true),
            ("https://a.b.example.net:8443", true),
            ("https://example.net:8443", false),
            ("https://.example.net:8443", false),
            ("https://a.example.net", false),
            ("https://evil.com/.example.net:8443", false),
            ("https://evil.com#.example.net:8443", false),
        ] {
            assert_eq!(list.allows(origin.as_bytes()), is_allowed, "{origin}");
        }
        assert!(!list.allows(b"\xff") && AllowedOrigins::Any.allows(b"https://evil.com"));
    }

    #[test]
    fn pages_of_this_machine_have_any_port() {
        for (origin, is_local) in [
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("https://127.0.0.1:65535", true),
            ("http://[::1]:8080", true),
            ("http://localhost.evil.com", false),
            ("http://localhost:evil", false),
            ("http://localhost:", false),
            ("http://evil.com/localhost", false),
            ("http://127.0.0.2", false),
            ("ftp://localhost", false),
            ("null", false),
        ] {
            assert_eq!(AllowedOrigins::Local.allows(origin.as_bytes()), is_local, "{origin}");
        }
    }

    #[test]
    fn a_list_is_whole_or_refused() {
        for text in
            ["*", "null", "https://example.org", "https://Example.org:1,http://[::1]:3000", "https://*.example.org"]
        {
            assert!(text.parse::<AllowedOrigins>().is_ok(), "{text}");
        }
        for text in [
            "",
            "example.org",
            "https://",
            "https://*",
            "https://*.",
            "https://*example.org",
            "https://a.*.org",
            "https://a/",
            "https://a,",
            "*,https://a",
            "https://a b",
            "what/ever?",
            "https://a\nb",
            "://a",
        ] {
            assert_eq!(text.parse::<AllowedOrigins>(), Err(()), "{text}");
        }
        let cased: AllowedOrigins = "https://Example.ORG".parse().expect("it is one");
        assert!(cased.allows(b"https://example.org") && cased.only() == Some("https://example.org"));
    }
}
