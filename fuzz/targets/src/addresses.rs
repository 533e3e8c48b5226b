//! Networks of trusted proxies, and what a request says of the way that it came: whoever is believed is written where it is
//! looked for, and networks hold what a simple reader says that they hold.

use std::net::{IpAddr, Ipv6Addr};

use synckairos::client::{ClientAddress, Hops, TrustedProxies};

use crate::choices::Choices;

/// A line of networks, one of Forwarded, and two of X-Forwarded-For.
pub(crate) fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let networks = choices.line();
    let forwarded = [choices.line()];
    let x_forwarded_for = [choices.line(), choices.rest()];
    let Ok(networks) = std::str::from_utf8(networks) else { return };
    let Ok(trusted) = networks.parse::<TrustedProxies>() else { return };
    let hops = || Hops { forwarded: forwarded.into_iter(), x_forwarded_for: x_forwarded_for.into_iter() };
    let client = trusted.client(hops());
    if let Some(client) = client {
        assert_ne!(client, ClientAddress::UNIX);
        // Nobody is believed who wrote no address.
        assert!(x_forwarded_for.iter().chain(&forwarded).any(|value| !value.is_empty()));
    }
    for ip in x_forwarded_for.iter().flat_map(|value| value.split(|byte| *byte == b',')).filter_map(address) {
        assert_eq!(trusted.contains(ip), is_within(networks, ip), "{ip} in {networks}");
        assert_eq!(ClientAddress::of(ip), ClientAddress::of(ip.to_canonical()));
    }
    // With nobody trusted it is the last who counts.
    if forwarded[0].is_empty() && x_forwarded_for[0].is_empty() && networks.is_empty() {
        let last = x_forwarded_for[1].rsplit(|byte| *byte == b',').next().and_then(address);
        if let Some(last) = last {
            let hops = x_forwarded_for[1].split(|byte| *byte == b',').filter(|hop| !hop.trim_ascii().is_empty());
            let is_short = hops.count() <= 32;
            let is_text = std::str::from_utf8(x_forwarded_for[1]).is_ok();
            assert_eq!(client, (is_short && is_text).then(|| ClientAddress::of(last)), "{input:?}");
        }
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

fn is_within(networks: &str, ip: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(v4) => (true, v4.to_ipv6_mapped().to_bits()),
        IpAddr::V6(v6) => (false, v6.to_bits()),
    };
    networks.split(',').map(str::trim).filter(|network| !network.is_empty()).any(|network| {
        let (address, len) = network.split_once('/').unwrap_or((network, ""));
        let first = address.parse().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let ((is_v4, first), (is_ip_v4, ip)) = (bits(first), bits(ip));
        let len: u32 = if len.is_empty() { if is_v4 { 32 } else { 128 } } else { len.parse().unwrap_or(0) };
        let len = if is_v4 { len + 96 } else { len };
        is_v4 == is_ip_v4 && (0..len).all(|bit| (first >> (127 - bit)) & 1 == (ip >> (127 - bit)) & 1)
    })
}
