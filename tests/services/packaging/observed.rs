//! The dashboard and the alerts query series and labels that a server really has.

use std::collections::BTreeSet;

use serde_json::Value;

use test_support::http::Connection;
use test_support::postgres::Database;
use test_support::program::Program;
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};
use test_support::wait::until;
use test_support::ws::Client;

use super::{default, entries, strings, text, yaml};

fn dashboard() -> Value {
    serde_json::from_str(&text("packaging/grafana.json")).expect("it is JSON")
}

/// What the dashboard's panels ask for.
fn drawn(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().expect("it asks for something").to_owned()).collect()
}

/// Name and expression of every alert.
fn alerts() -> Vec<(String, String)> {
    let file = yaml("packaging/alerts.yml");
    let groups = file["groups"].as_vec().expect("groups");
    let rules = groups.iter().flat_map(|group| group["rules"].as_vec().expect("rules"));
    let text = |rule: &yaml_rust2::Yaml, key: &str| rule[key].as_str().unwrap_or_else(|| panic!("no {key}")).to_owned();
    rules
        .map(|rule| {
            assert!(["critical", "warning"].contains(&&*text(&rule["labels"], "severity")), "{rule:?}");
            assert!(!text(&rule["annotations"], "summary").is_empty());
            (text(rule, "alert"), text(rule, "expr"))
        })
        .collect()
}

/// The words of a query.
fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|next: char| !next.is_alphanumeric() && next != '_')
}

/// The labels of a query: those that it sums by, and those that it selects by.
fn labels(query: &str) -> BTreeSet<String> {
    let by = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next()).flat_map(|list| list.split(','));
    let selected = query.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let selected = selected.flat_map(|list| list.split(',')).filter_map(|label| label.split(['=', '!']).next());
    by.chain(selected).map(|label| label.trim().to_owned()).collect()
}

/// Names and labels of what an instance tells, on Redis and PostgreSQL, when everything has happened once.
async fn told() -> (BTreeSet<String>, BTreeSet<String>) {
    let redis = Redis::start();
    let database = tokio::task::spawn_blocking(Database::create).await.expect("it does not panic");
    let settings = [("REDIS_URL", &*redis.url()), ("DATABASE_URL", &*database.url())];
    let program = Program::start(&settings);
    let mut client = Connection::open(program.address).await;
    let session = two_players(&id(1), 3_600_000).to_string();
    until("it serves", async || client.ask("POST", "/v1/sessions", &session).await.status == 201).await;
    let _watcher = Client::join(program.address, &id(1)).await;
    client.post(&id(1), "start", &Value::Null).await;
    client.post(&id(1), "switch", &Value::Null).await;
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec(&mut redis.connect()).expect("it answers");
    let mut told = String::new();
    until("every change is written, and a connection made again", async || {
        told = client.ask("GET", "/metrics", "").await.body;
        let is_written = told.contains("\nsynckairos_audit_written_total 3\n");
        is_written && told.contains("\nsynckairos_store_reconnects_total{connection=\"updates\"}")
    })
    .await;
    let series = told.lines().filter(|line| !line.starts_with('#'));
    let names = series.clone().filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned);
    (names.collect(), series.flat_map(labels).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_asks_for_what_there_is() {
    let (series, mut known) = told().await;
    // Prometheus adds these.
    known.extend(["instance", "job"].map(str::to_owned));
    let queries = drawn(&dashboard()).into_iter().chain(alerts().into_iter().map(|(_, query)| query));
    let queries: Vec<_> = queries.collect();
    let mut asked = BTreeSet::new();
    for query in &queries {
        let is_series = |word: &&str| word.starts_with("synckairos_") || word.starts_with("process_");
        let names: Vec<_> = words(query).filter(is_series).collect();
        assert!(!names.is_empty() || query.starts_with("up{job=\"synckairos\"}"), "{query}");
        for name in names {
            assert!(series.contains(name), "nothing is called {name}: {series:?}");
            asked.insert(name);
        }
        for label in labels(query) {
            assert!(known.contains(&label), "no series has a label {label}: {query}");
        }
    }
    // And the other way round: nothing is told that nobody looks at.
    let base = |name: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        histogram.unwrap_or(name).to_owned()
    };
    let asked: BTreeSet<_> = asked.into_iter().map(base).collect();
    let told: BTreeSet<_> = series.iter().map(|name| base(name)).collect();
    assert_eq!(told, asked);
}

#[test]
fn the_dashboard_can_be_shown() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has a number of its own");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a number");
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(x < 24 && taken.insert((x, y)), "nothing else is there: {}", panel["title"]);
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        }
    }
    assert_eq!(dashboard["templating"]["list"][0]["name"], "datasource");
}

#[test]
fn alerts_go_by_the_defaults_and_the_readme() {
    let alerts = alerts();
    let names: BTreeSet<_> = alerts.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), alerts.len(), "every alert has a name of its own");
    let limit = |name: &str, parts: u64, of: u64| default(name).parse::<u64>().expect("a number") * parts / of;
    for (series, above) in [
        ("synckairos_websocket_connections", limit("MAX_CONNECTIONS", 4, 5)),
        ("max(synckairos_audit_queue_bytes)", limit("AUDIT_QUEUE_MAX_BYTES", 1, 2)),
    ] {
        let expected = format!("{series} > {above}");
        assert!(alerts.iter().any(|(_, query)| *query == expected), "{expected}");
    }
    let page = text("docs/run/metrics.md");
    let promised = page.lines().filter(|line| line.starts_with("| `synckairos_") && line.contains("**alert"));
    let mut count = 0;
    for series in promised.filter_map(|line| line.split('`').nth(1)?.split('{').next()) {
        assert!(alerts.iter().any(|(_, query)| words(query).any(|word| word == series)), "{series}");
        count += 1;
    }
    assert!(count >= 3, "only {count} were found");
    let scraped = &text("packaging/alerts.yml");
    assert!(scraped.contains(&format!("names: [synckairos], type: A, port: {}", default("PORT"))));
    let compose = yaml("packaging/docker-compose.yml");
    assert!(entries(&compose["services"]).iter().any(|(name, _)| *name == "synckairos"));
    assert!(strings(&compose["services"]["balancer"]["depends_on"]).contains(&"synckairos"));
}
