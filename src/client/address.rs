//! One key for each client, whatever form its address comes in. Does not know what is counted, nor who asks through a proxy.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first bits of the IPv6 addresses that translators make of IPv4 addresses (RFC 6052): `64:ff9b::/96`.
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// A client's address as limits count it. A client that has one IPv6 address has the 2^64 beside it, so these count as one;
/// an IPv4 address is the same one when it is written as IPv6. Clients of a Unix socket count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(Counted);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    V4(Ipv4Addr),
    /// The upper half.
    V6(u64),
    Unix,
}

impl ClientAddress {
    /// The clients of a Unix socket.
    pub const UNIX: Self = Self(Counted::Unix);

    /// Whom `ip` belongs to.
    pub fn of(ip: IpAddr) -> Self {
        let v6 = match ip.to_canonical() {
            IpAddr::V4(v4) => return Self(Counted::V4(v4)),
            IpAddr::V6(v6) => v6,
        };
        let [_, _, _, _, _, _, high, low] = v6.segments();
        if v6.segments().starts_with(&TRANSLATED) {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            return Self(Counted::V4(Ipv4Addr::new(a, b, c, d)));
        }
        Self(Counted::V6((v6.to_bits() >> 64) as u64))
    }
}

impl From<IpAddr> for ClientAddress {
    fn from(ip: IpAddr) -> Self {
        Self::of(ip)
    }
}

/// As keys and log lines name it: `192.0.2.1`, `2001:db8::/64`, `unix`.
impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Counted::V4(v4) => v4.fmt(f),
            Counted::V6(upper) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(upper) << 64)),
            Counted::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ClientAddress;

    #[test]
    fn there_is_one_key_for_each_client() {
        for (address, key) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("64:ff9b::c000:201", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            let client = ClientAddress::of(address.parse().expect("an address"));
            assert_eq!(client.to_string(), key, "{address}");
        }
        assert_eq!(ClientAddress::UNIX.to_string(), "unix");
    }
}
