//! Metrics, under the names that dashboards use.

use test_support::metrics::value;
use test_support::server::Server;
use test_support::sessions::{id, two_players};
use test_support::wait::until;
use test_support::ws::Client;

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create(&two_players(&id(1), 3_600_000)).await;
    let path = format!("/v1/sessions/{}", id(1));
    for (method, path) in [
        ("POST", format!("{path}/start")),
        ("POST", format!("{path}/switch")),
        ("POST", format!("{path}/switch")),
        ("GET", format!("{path}?a=b")),
        ("GET", format!("/v1/sessions/{}", id(2))),
        ("BREW", path.clone()),
        ("GET", "/nowhere".to_owned()),
    ] {
        client.ask(method, &path, "").await;
    }
    let answer = client.ask("GET", "/metrics", "").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for (labels, count) in [
        (r#"method="POST",route="/v1/sessions",status_code="201""#, 1.0),
        (r#"method="POST",route="/v1/sessions/:id/start",status_code="200""#, 1.0),
        (r#"method="POST",route="/v1/sessions/:id/switch",status_code="200""#, 2.0),
        (r#"method="GET",route="/v1/sessions/:id",status_code="200""#, 1.0),
        (r#"method="GET",route="/v1/sessions/:id",status_code="404""#, 1.0),
        (r#"method="Other",route="/v1/sessions/:id",status_code="405""#, 1.0),
        (r#"method="GET",route="unmatched",status_code="404""#, 1.0),
    ] {
        let series = format!("synckairos_http_requests_total{{{labels}}}");
        assert_eq!(value(&answer.body, &series), count, "{series}: {}", answer.body);
    }
    let switches = r#"synckairos_http_request_duration_ms_count{method="POST",route="/v1/sessions/:id/switch"}"#;
    assert_eq!(value(&answer.body, switches), 2.0);
    for (bucket, metric) in [("1000", "http_request_duration_ms"), ("50", "switch_cycle_duration_ms")] {
        let le = format!("le=\"{bucket}\"");
        let found = answer
            .body
            .lines()
            .any(|line| line.starts_with(&format!("synckairos_{metric}_bucket")) && line.contains(&le));
        assert!(found, "{metric} has a bucket up to {bucket}: {}", answer.body);
    }
    assert_eq!(value(&answer.body, "synckairos_switch_cycle_duration_ms_count"), 2.0);
    assert_eq!(value(&answer.body, "synckairos_active_sessions"), 1.0);
}

#[tokio::test]
async fn watchers_and_watched_sessions_are_counted() {
    let server = Server::start().await;
    let mut http = server.connect().await;
    let clients = (
        Client::join(server.address(), &id(1)).await,
        Client::join(server.address(), &id(1)).await,
        Client::join(server.address(), &id(2)).await,
    );
    let mut told = async || {
        let text = http.ask("GET", "/metrics", "").await.body;
        (value(&text, "synckairos_websocket_connections"), value(&text, "synckairos_subscriptions"))
    };
    assert_eq!(told().await, (3.0, 2.0));
    drop(clients);
    until("everybody has left", async || told().await == (0.0, 0.0)).await;
}

/// The sample's names are those of their types, as Prometheus' older text demands, and OpenMetrics is there for whoever wants it.
#[tokio::test]
async fn metrics_are_exposed_in_the_format_that_is_accepted() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.ask("GET", "/health", "").await;
    let text = client.ask("GET", "/metrics", "").await;
    assert_eq!(text.header("vary"), Some("Accept"));
    let kinds: std::collections::HashMap<_, _> =
        text.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for sample in text.body.lines().filter(|line| !line.starts_with('#')) {
        let name = sample.split(['{', ' ']).next().expect("a name");
        let family = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        let kind = kinds.get(name).or_else(|| family.and_then(|family| kinds.get(family)));
        assert!(kind.is_some(), "{name} has no type");
        assert_eq!(name.ends_with("_total"), kind == Some(&"counter"), "{sample}");
        assert!(!sample.contains(".0\","), "{sample}");
    }
    assert!(!text.body.contains("# EOF") && !text.body.contains("# UNIT"), "{}", text.body);

    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")];
    let open = client.ask_with("GET", "/metrics", &accept, "").await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.body.ends_with("# EOF\n") && open.body.contains("# TYPE synckairos_http_requests counter\n"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn process_metrics_are_exposed() {
    let server = Server::start().await;
    let text = server.connect().await.ask("GET", "/metrics", "").await.body;
    for series in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
    ] {
        assert!(value(&text, series) > 0.0, "{series}: {text}");
    }
}
