//! Client addresses behind proxies, as rate limits count them.

use test_support::http::Connection;
use test_support::server::Server;
use test_support::ws::Client;

/// A window lasts a minute, so none ends while this runs.
const LIMIT: (&str, &str) = ("RATE_LIMIT_GENERAL", "2");
/// Where nobody is asked who they are, requests through a proxy are taken only if that is said.
const OPEN: (&str, &str) = ("AUTH", "off");

async fn statuses(client: &mut Connection, headers: &[(&str, &str)]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(client.ask_with("GET", "/v1/time", headers, "").await.status);
    }
    statuses
}

const LIMITED: [u16; 3] = [200, 200, 429];

#[tokio::test]
async fn a_trusted_proxy_says_who_asks() {
    let server = Server::start_with(&[LIMIT, OPEN, ("TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8")]).await;
    let mut proxy = server.connect().await;
    for headers in [
        &[("x-forwarded-for", "192.0.2.1")][..],
        &[("x-forwarded-for", "203.0.113.1, 192.0.2.2, 10.0.0.7")],
        &[("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "192.0.2.3")],
        &[("forwarded", "for=203.0.113.1, for=\"192.0.2.4:4711\";proto=https")],
        &[("x-forwarded-for", "2001:db8:1::1")],
        // What cannot be relied on counts as the proxy.
        &[("x-forwarded-for", "192.0.2.9, unknown")],
    ] {
        assert_eq!(statuses(&mut proxy, headers).await, LIMITED, "{headers:?}");
    }
    for (same, headers) in [
        ("made up at the left end", ("x-forwarded-for", "198.51.100.1, 192.0.2.1")),
        ("the same /64", ("x-forwarded-for", "2001:db8:1::2")),
        ("written as IPv6", ("x-forwarded-for", "::ffff:192.0.2.2")),
        ("with a port", ("x-forwarded-for", "192.0.2.1:4711")),
        ("in brackets, with a port", ("x-forwarded-for", "[2001:db8:1::3]:443")),
        ("over a word at the left end", ("x-forwarded-for", "unknown, 192.0.2.1, 10.0.0.7")),
        ("the proxy, over forty hops", ("x-forwarded-for", &*["198.51.100.3"; 40].join(", "))),
        ("nobody", ("x-real-ip", "198.51.100.2")),
        ("the proxy", ("x-forwarded-for", "")),
    ] {
        assert_eq!(statuses(&mut proxy, &[headers]).await, [429; 3], "{same}");
    }
}

#[tokio::test]
async fn only_trusted_proxies_are_believed() {
    let server = Server::start_with(&[LIMIT, OPEN, ("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let mut client = server.connect().await;
    let mut statuses = Vec::new();
    for n in 1..=3 {
        let address = format!("192.0.2.{n}");
        let headers = [("x-forwarded-for", &*address), ("x-real-ip", &*address)];
        statuses.push(client.ask_with("GET", "/v1/time", &headers, "").await.status);
    }
    assert_eq!(statuses, LIMITED);
}

#[tokio::test]
async fn a_websocket_is_its_clients() {
    let server = Server::start_with(&[LIMIT, OPEN, ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut first = Client::open_with(server.address(), "?sessionId=", &[("x-forwarded-for", "192.0.2.1")]).await;
    assert_eq!(&*first.closed().await.reason, "Missing sessionId parameter");
    let mut proxy = server.connect().await;
    let headers = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(proxy.ask_with("GET", "/v1/time", &headers, "").await.header("ratelimit-remaining"), Some("0"));
}
