//! Where the server listens, to clients and perhaps to operators, and what paths begin with. Does not know sockets.

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

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

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

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => true,
        }
    }

    /// Whether nobody can listen at both.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Address::Tcp(one), Address::Tcp(other)) => {
                let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
                let is_any = |any: IpAddr, ip: IpAddr| any.is_unspecified() && (any.is_ipv6() || ip.is_ipv4());
                let is_shared = ip == other_ip || is_any(ip, other_ip) || is_any(other_ip, ip);
                one.port() == other.port() && one.port() != 0 && is_shared
            }
            (Address::Unix(one), Address::Unix(other)) => one == other,
            (Address::Tcp(_), Address::Unix(_)) | (Address::Unix(_), Address::Tcp(_)) => false,
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

    /// Where operators are served, if apart from clients.
    pub(super) fn admin_address(&mut self, address: &Address) -> Option<Address> {
        let expected = "an IP address or localhost, and a port; or unix: and a path";
        let admin = self.parse_given("ADMIN_ADDRESS", expected, |text| match text.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Address::Unix(path.into())),
            None => match text.strip_prefix("localhost:") {
                Some(port) => port.parse().ok().map(|port| Address::Tcp((LOOPBACK, port).into())),
                None => text.parse().ok().map(Address::Tcp),
            },
        })?;
        if admin.overlaps(address) {
            self.problem(format!(
                "ADMIN_ADDRESS: clients are served at {address} already: take another port, or unset it to serve operators there too"
            ));
        }
        Some(admin)
    }

    pub(super) fn base_path(&mut self) -> String {
        let expected = "a path such as /sync, of letters, digits, dots, hyphens and underscores";
        self.parse("BASE_PATH", expected, base_path).unwrap_or_default()
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
