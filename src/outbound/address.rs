//! Which addresses the server connects to by itself: never those that only this machine's own network may ask, such as the one where
//! clouds keep credentials. An address inside another is judged as what it is. Does not know names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This machine.
    Loopback,
    /// A network of somebody's own.
    Private,
    /// Anywhere.
    Public,
    /// Nowhere that may be asked: link-local, multicast, reserved.
    Forbidden,
}

impl Reach {
    /// How far an address is.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let [first, second, third, _] = address.octets();
    match (first, second, third) {
        (127, _, _) => Reach::Loopback,
        (10, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Reach::Private,
        // This network, link-local, protocol assignments, examples, benchmarks, multicast and what is reserved.
        (0, _, _)
        | (169, 254, _)
        | (192, 0, 0 | 2)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113)
        | (224.., _, _) => Reach::Forbidden,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    if let Some(inner) = inner(address) {
        return of_v4(inner);
    }
    let first = address.segments()[0];
    match first {
        _ if address.is_loopback() => Reach::Loopback,
        0xfc00..=0xfdff => Reach::Private,
        0x2001 if address.segments()[1] == 0xdb8 => Reach::Forbidden,
        0x2000..=0x3fff => Reach::Public,
        _ => Reach::Forbidden,
    }
}

/// The address of version 4 that one of version 6 stands for: mapped, compatible, NAT64 or 6to4.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if high != 0 => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Reach;

    #[test]
    fn an_address_is_judged_as_what_it_is() {
        for (address, reach) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.255.0.1", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("fd12::1", Reach::Private),
            ("8.8.8.8", Reach::Public),
            ("2606:4700::1", Reach::Public),
            ("169.254.169.254", Reach::Forbidden),
            ("::ffff:169.254.169.254", Reach::Forbidden),
            ("64:ff9b::a9fe:a9fe", Reach::Forbidden),
            ("64:ff9b::808:808", Reach::Public),
            ("2002:a9fe:a9fe::1", Reach::Forbidden),
            ("2002:a00:1::1", Reach::Private),
            ("::169.254.169.254", Reach::Forbidden),
            ("64:ff9b:1::1", Reach::Forbidden),
            ("fe80::1", Reach::Forbidden),
            ("fec0::1", Reach::Forbidden),
            ("ff02::1", Reach::Forbidden),
            ("::", Reach::Forbidden),
            ("::ffff:0.0.0.0", Reach::Forbidden),
            ("0.0.0.0", Reach::Forbidden),
            ("224.0.0.1", Reach::Forbidden),
            ("240.0.0.1", Reach::Forbidden),
            ("255.255.255.255", Reach::Forbidden),
            ("192.0.2.1", Reach::Forbidden),
            ("2001:db8::1", Reach::Forbidden),
        ] {
            assert_eq!(Reach::of(address.parse().expect(address)), reach, "{address}");
        }
    }
}
