//! Under which names the server may be asked: where nobody must say who they are, a page of another name could be led here by its
//! own name server. Does not know what is asked.

use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::HOST;
use hyper::http::request::Parts;

use super::origins::is_port_or_nothing;

/// The names that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every one.
    Any,
    /// Those of a list, each with the port that it has there, or with any.
    List(Box<[Box<str>]>),
}

impl AllowedHosts {
    /// Those of this machine, and the address that it is asked at.
    pub fn local(address: Option<IpAddr>) -> Self {
        let own = address.filter(|ip| !ip.is_unspecified()).map(|ip| match ip {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        });
        let names = ["localhost", "127.0.0.1", "[::1]"].into_iter().map(Box::from);
        Self::List(names.chain(own.map(Box::from)).collect())
    }

    /// Those, and others.
    pub fn or(self, others: Self) -> Self {
        match (self, others) {
            (Self::List(names), Self::List(others)) => Self::List(names.into_iter().chain(others).collect()),
            (Self::Any, _) | (_, Self::Any) => Self::Any,
        }
    }

    /// Whether a request names one of them, wherever it says so.
    pub(super) fn allows(&self, request: &Parts) -> bool {
        let Self::List(names) = self else { return true };
        let is_allowed = |host: &str| {
            names.iter().any(|name| {
                let (start, rest) = host.split_at_checked(name.len()).unwrap_or(("", ""));
                start.eq_ignore_ascii_case(name) && is_port_or_nothing(rest)
            })
        };
        let named = request.headers.get(HOST).and_then(|host| host.to_str().ok());
        let in_target = request.uri.authority().map(|authority| authority.as_str());
        named.is_some_and(is_allowed) && in_target.is_none_or(is_allowed)
    }
}

/// `*`, or names and addresses between commas, with a port or for any.
impl FromStr for AllowedHosts {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let is_host = |host: &str| !host.is_empty() && host.bytes().all(is_part);
        let names = text.split(',').map(str::trim).map(|host| is_host(host).then(|| host.into()));
        names.collect::<Option<_>>().map(Self::List).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::AllowedHosts;
    use hyper::http::request::Parts;

    fn request(target: &str, host: Option<&str>) -> Parts {
        let mut request = hyper::Request::builder().uri(target);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        request.body(()).expect("it is one").into_parts().0
    }

    #[test]
    fn names_are_compared_whole() {
        let own = "127.0.0.7".parse().ok();
        for (host, is_allowed) in [
            ("localhost", true),
            ("LocalHost:3000", true),
            ("127.0.0.1:3000", true),
            ("[::1]:3000", true),
            ("127.0.0.7:1", true),
            ("localhost.evil.com", false),
            ("evil.com", false),
            ("localhost:evil", false),
            ("localhost:3000:3000", false),
            ("evil.com:localhost", false),
            ("127.0.0.8", false),
            ("::1", false),
            ("[::ffff:127.0.0.1]", false),
            ("", false),
        ] {
            assert_eq!(AllowedHosts::local(own).allows(&request("/", Some(host))), is_allowed, "{host}");
        }
        assert!(!AllowedHosts::local(None).allows(&request("/", None)));
        assert!(AllowedHosts::Any.allows(&request("/", None)));
        assert!(!AllowedHosts::local(None).allows(&request("http://evil.com/", Some("localhost"))));
        assert!(AllowedHosts::local(None).allows(&request("http://localhost:1/", Some("localhost"))));
    }

    #[test]
    fn a_list_is_whole_or_refused() {
        let list: AllowedHosts = "clocks.example.org, example.org:8443".parse().expect("they are names");
        for (host, is_allowed) in [
            ("clocks.example.org", true),
            ("Clocks.Example.org:443", true),
            ("example.org:8443", true),
            ("example.org", false),
            ("example.org:84430", false),
        ] {
            assert_eq!(list.allows(&request("/", Some(host))), is_allowed, "{host}");
        }
        assert_eq!(list.clone().or(AllowedHosts::Any), AllowedHosts::Any);
        let both = list.or(AllowedHosts::local(None));
        assert!(["clocks.example.org", "[::1]:80"].iter().all(|host| both.allows(&request("/", Some(host)))));
        assert!(!both.allows(&request("/", Some("example.org"))));
        for wrong in ["", "a,", "https://a", "a b", "what/ever?", "*.example.org"] {
            assert_eq!(wrong.parse::<AllowedHosts>(), Err(()), "{wrong}");
        }
    }
}
