//! Networks as people write them: an address, or the first bits that its addresses share (CIDR). Does not know what is
//! in them.

use std::net::IpAddr;
use std::str::FromStr;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is one of them; an IPv4 address is the same one when it is written as IPv6.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => is_same(first.to_bits().into(), ip.to_bits().into(), 32 - self.bits),
            (IpAddr::V6(first), IpAddr::V6(ip)) => is_same(first.to_bits(), ip.to_bits(), 128 - self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// But for the last bits.
fn is_same(one: u128, other: u128, but_last: u8) -> bool {
    (one ^ other).checked_shr(but_last.into()).unwrap_or_default() == 0
}

/// `192.0.2.0/24`, `2001:db8::/32`, or a single address. Bits behind the prefix must not be set: whoever set them meant
/// something else.
impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(drop)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(drop)?,
            Some(_) => return Err(()),
            None => all,
        };
        let behind = match address {
            _ if bits > all => return Err(()),
            IpAddr::V4(v4) => u128::from(v4.to_bits()).checked_shl(96 + u32::from(bits)),
            IpAddr::V6(v6) => v6.to_bits().checked_shl(bits.into()),
        };
        let is_whole = behind.unwrap_or_default() == 0;
        (is_whole && address == address.to_canonical()).then_some(Self { address, bits }).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn reads_what_people_write() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7/32", "::ffff:192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::/0", "fe80::1", "127.0.0.1"),
        ] {
            let network: Network = network.parse().expect(network);
            assert!(network.contains(inside.parse().expect(inside)), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().expect(outside)), "{network:?} {outside}");
        }
        for wrong in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "2001:db8::1/32",
            "::/129",
            "10.0.0",
            "::ffff:10.0.0.0/104",
            "*",
            "unix",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(()), "{wrong}");
        }
    }
}
