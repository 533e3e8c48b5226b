//! Who asks through a proxy: what `X-Forwarded-For` and `Forwarded` (RFC 7239) say, as far as the proxies that wrote it
//! are trusted. Does not know the rest of a request.
//!
//! The lists grow at their right end, so that what is trusted is read from there: the client is the last address that is
//! no proxy's. What is left of it may be made up, and is not looked at. Where the client cannot be found, it is the peer of
//! the connection: a list that is malformed, longer than [`HOPS_MAX`], or says two things at once, gains nothing.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::address::ClientAddress;
use super::network::Network;

/// Proxies in a row at most.
const HOPS_MAX: usize = 32;

/// The proxies that are trusted to say who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// What a request says of the way that it came.
#[derive(Clone, Copy, Debug)]
pub struct Hops<F, X> {
    /// The values of Forwarded.
    pub forwarded: F,
    /// The values of X-Forwarded-For.
    pub x_forwarded_for: X,
}

impl TrustedProxies {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a peer's word is taken.
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(peer))
    }

    /// Who sent a request that `peer` passed on, whose word is taken; `None` when nothing says so that can be relied on.
    pub fn client<'v>(
        &self,
        hops: Hops<impl Iterator<Item = &'v [u8]>, impl Iterator<Item = &'v [u8]>>,
    ) -> Option<ClientAddress> {
        let forwarded = self.last_stranger(hops.forwarded, forwarded_for);
        let x_forwarded_for = self.last_stranger(hops.x_forwarded_for, address);
        match (forwarded, x_forwarded_for) {
            (Said::Nothing, Said::Nothing) | (Said::Nonsense, _) | (_, Said::Nonsense) => None,
            (Said::Address(ip), Said::Nothing) | (Said::Nothing, Said::Address(ip)) => Some(ClientAddress::of(ip)),
            // A proxy that writes one of them may pass the other on as the client made it up.
            (Said::Address(one), Said::Address(other)) => (one == other).then(|| ClientAddress::of(one)),
        }
    }

    /// The last address of the lists that is no proxy's, or the first when all are.
    fn last_stranger<'v>(
        &self,
        values: impl Iterator<Item = &'v [u8]>,
        address: impl Fn(&'v str) -> Option<IpAddr>,
    ) -> Said {
        let mut hops = Vec::new();
        for value in values {
            let Ok(value) = std::str::from_utf8(value) else { return Said::Nonsense };
            hops.extend(value.split(',').map(str::trim).filter(|hop| !hop.is_empty()));
            if hops.len() > HOPS_MAX {
                return Said::Nonsense;
            }
        }
        let mut said = Said::Nothing;
        for hop in hops.into_iter().rev() {
            let Some(ip) = address(hop) else { return Said::Nonsense };
            said = Said::Address(ip);
            if !self.contains(ip) {
                break;
            }
        }
        said
    }
}

/// What a header comes to.
enum Said {
    Nothing,
    Address(IpAddr),
    /// Something that cannot be relied on.
    Nonsense,
}

/// The `for` of an element of Forwarded. A quoted string that holds a comma or a semicolon names no address.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = found.next().filter(|_| found.next().is_none())?;
    match value.strip_prefix('"') {
        Some(quoted) => address(quoted.strip_suffix('"')?),
        None => address(value),
    }
}

/// An address with or without a port; IPv6 in brackets, or without them and a port.
fn address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let ip = text.parse::<IpAddr>().ok().or_else(in_brackets).or_else(with_port)?;
    Some(ip.to_canonical())
}

/// Networks between commas; empty is none.
impl FromStr for TrustedProxies {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty()).map(Network::from_str);
        networks.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Hops, TrustedProxies};

    fn client(forwarded: &[&str], x_forwarded_for: &[&str]) -> Option<String> {
        let trusted: TrustedProxies = "10.0.0.0/8, 2001:db8:ffff::/48".parse().expect("networks");
        let hops = Hops {
            forwarded: forwarded.iter().map(|value| value.as_bytes()),
            x_forwarded_for: x_forwarded_for.iter().map(|value| value.as_bytes()),
        };
        trusted.client(hops).map(|client| client.to_string())
    }

    #[test]
    fn the_client_is_the_last_who_is_no_proxy() {
        let many = vec!["192.0.2.1"; 33].join(", ");
        let few = vec!["192.0.2.1"; 32].join(", ");
        for (value, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("203.0.113.9, 192.0.2.1", Some("192.0.2.1")),
            ("203.0.113.9, 192.0.2.1, 10.0.0.7", Some("192.0.2.1")),
            ("made up, 192.0.2.1 ,10.0.0.7", Some("192.0.2.1")),
            ("10.0.0.8, 10.0.0.7", Some("10.0.0.8")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("[2001:db8::1]:4711", Some("2001:db8::/64")),
            ("[2001:db8::1]", Some("2001:db8::/64")),
            ("2001:db8::1", Some("2001:db8::/64")),
            ("192.0.2.1, 2001:db8:ffff::2", Some("192.0.2.1")),
            ("::ffff:192.0.2.1, ::ffff:10.0.0.7", Some("192.0.2.1")),
            (", 192.0.2.1,", Some("192.0.2.1")),
            (&few, Some("192.0.2.1")),
            (&many, None),
            ("192.0.2.1, unknown", None),
            ("unknown, 10.0.0.7", None),
            ("192.0.2.1:x", None),
            ("192.0.2.1 10.0.0.7", None),
            ("example.org", None),
            ("", None),
        ] {
            assert_eq!(client(&[], &[value]).as_deref(), expected, "{value}");
        }
        assert_eq!(client(&[], &["203.0.113.9", "192.0.2.1, 10.0.0.7"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&[], &["192.0.2.1", "10.0.0.7"]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn forwarded_says_the_same_in_other_words() {
        for (value, expected) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("For=\"192.0.2.1:4711\";proto=https;by=10.0.0.7", Some("192.0.2.1")),
            ("proto=https; for=\"[2001:db8::1]:4711\"", Some("2001:db8::/64")),
            ("for=203.0.113.9, for=192.0.2.1, for=10.0.0.7;by=10.0.0.8", Some("192.0.2.1")),
            ("for=_hidden, for=192.0.2.1", Some("192.0.2.1")),
            ("for=192.0.2.1, for=_hidden", None),
            ("for=unknown", None),
            ("proto=https", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=\"192.0.2.1", None),
        ] {
            assert_eq!(client(&[value], &[]).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_not_believed() {
        let proxies = |count: usize| vec!["10.0.0.1"; count].join(", ");
        let last = "192.0.2.1".to_owned();
        assert_eq!(client(&[], &[&format!("{last}, {}", proxies(31))]), Some(last.clone()));
        assert_eq!(client(&[], &[&format!("{last}, {}", proxies(32))]), None);
        assert_eq!(client(&[], &[&last, &proxies(16), &proxies(16)]), None, "over several fields too");
    }

    #[test]
    fn nobody_is_believed_who_says_two_things() {
        assert_eq!(client(&["for=192.0.2.1"], &["192.0.2.1"]).as_deref(), Some("192.0.2.1"));
        assert_eq!(client(&["for=192.0.2.1"], &["192.0.2.2"]), None);
        assert_eq!(client(&["for=unknown"], &["192.0.2.2"]), None);
        assert_eq!(client(&[], &[]), None);
    }

    #[test]
    fn a_list_of_networks_is_whole_or_refused() {
        assert_eq!("".parse(), Ok(TrustedProxies::default()));
        assert_eq!("10.0.0.0/8, x".parse::<TrustedProxies>(), Err(()));
        assert!("10.0.0.0/8,::1".parse::<TrustedProxies>().expect("two").contains("::1".parse().expect("one")));
    }
}
