//! Where the server listens, and what requests must look like before a path is looked at: the address, what paths begin with,
//! whose pages may read answers. Does not know sockets.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::reader::SettingsReader;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// At an address.
    Tcp(SocketAddr),
    /// At a path.
    Unix(PathBuf),
}

enum Host {
    Ip(IpAddr),
    Unix(PathBuf),
}

impl Address {
    /// The address, if it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<L: Fn(&str) -> Option<String>> SettingsReader<L> {
    pub(super) fn address(&mut self) -> Address {
        const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let host = self.parse("HOST", "an IP address, localhost, or unix: and a path", |text| match text {
            "localhost" => Some(Host::Ip(LOOPBACK)),
            other => match other.strip_prefix("unix:") {
                Some(path) => path.starts_with('/').then(|| Host::Unix(path.into())),
                None => other.parse().ok().map(Host::Ip),
            },
        });
        let port = self.parse("PORT", "a port from 0 to 65535", |text| text.parse::<u16>().ok());
        match host.unwrap_or(Host::Ip(LOOPBACK)) {
            Host::Ip(ip) => Address::Tcp(SocketAddr::new(ip, port.unwrap_or_default())),
            Host::Unix(path) => Address::Unix(path),
        }
    }

    pub(super) fn base_path(&mut self) -> String {
        let expected = "a path such as /sync, of letters, digits, dots, hyphens and underscores";
        self.parse("BASE_PATH", expected, base_path).unwrap_or_default()
    }

    pub(super) fn origin(&mut self) -> String {
        self.parse("CORS_ORIGIN", "an origin such as https://example.org, or *", origin).unwrap_or_default()
    }
}

/// What all paths begin with; a slash at the end makes no difference.
fn base_path(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_segment =
        |segment: &str| !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(is_plain);
    let is_path = |path: &str| path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment));
    (path.is_empty() || is_path(path)).then(|| path.to_owned())
}

/// What browsers send as Origin (RFC 6454, section 6.2), or a star.
fn origin(text: &str) -> Option<String> {
    let is_tuple = |(scheme, host): (&str, &str)| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/?#,".contains(&byte);
        !scheme.is_empty() && !host.is_empty() && scheme.bytes().chain(host.bytes()).all(plain)
    };
    (text == "*" || text == "null" || text.split_once("://").is_some_and(is_tuple)).then(|| text.to_owned())
}
