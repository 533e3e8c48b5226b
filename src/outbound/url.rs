//! Where a request goes: `https://host[:port]/path`, and `http://` to this machine alone. What could be read in two ways is refused.
//! Does not know what is there.

use std::fmt;
use std::net::IpAddr;

use hyper::Uri;

/// A place that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundUrl {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_encrypted: bool,
    /// The authority, as the header `Host` has it.
    pub(super) authority: String,
    /// The path with its query.
    pub(super) path: String,
}

impl OutboundUrl {
    /// Reads one; `Err` says why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} {why}"));
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '\\', '"']) {
            return wrong("has characters that no URL of a key set has");
        }
        let Ok(uri) = text.parse::<Uri>() else { return wrong("is no URL") };
        let is_encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return wrong("must begin with https://"),
        };
        let Some(authority) = uri.authority() else { return wrong("names no host") };
        if authority.as_str().contains('@') {
            return Err("a URL with a user or a password is not taken".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
            Some(_) | None => Some(if is_encrypted { 443 } else { 80 }),
        };
        let Some(port) = port.filter(|port| *port > 0 && !host.is_empty()) else {
            return wrong("names no host and port");
        };
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback());
        if !is_encrypted && !is_here {
            return wrong("must begin with https://: only this machine is asked without encryption");
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port, is_encrypted, authority: authority.as_str().to_owned(), path })
    }
}

impl fmt::Display for OutboundUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::OutboundUrl;

    #[test]
    fn what_could_lead_elsewhere_is_none() {
        for (text, host, port) in [
            ("https://id.example/jwks.json?a=b", "id.example", 443),
            ("https://ID.example:8443", "id.example", 8_443),
            ("https://[2606::1]/x", "2606::1", 443),
            ("http://localhost:8080/x", "localhost", 8_080),
            ("http://127.0.0.1/x", "127.0.0.1", 80),
            ("http://[::1]:81/x", "::1", 81),
        ] {
            let url = OutboundUrl::parse(text).expect(text);
            assert_eq!((&*url.host, url.port), (host, port), "{text}");
        }
        for text in [
            "",
            "/jwks.json",
            "id.example/jwks.json",
            "ftp://id.example/",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://u:p@id.example/",
            "https://id.example@evil.example/",
            "https://id.example/#x",
            "https://id.example/a b",
            "https://id.example/\r\nhost: evil",
            "https://id.example:0/",
            "https://id.example:65536/",
            "https://id.example:/",
            "http://id.example/",
            "http://127.0.0.1.example/",
            "http://0x7f000001/",
            "http://10.0.0.1/",
        ] {
            let why = OutboundUrl::parse(text).expect_err(text);
            assert!(!why.contains("u:p"), "{why}");
        }
    }
}
