//! The long run: every kind of store in turn, with an audit, for as long as it is told, and a page about it.
//!
//! `loadtest/long-run` starts it: SYNCKAIROS_TEST_LONG_S, SYNCKAIROS_TEST_OPERATIONS (of each run), SYNCKAIROS_TEST_SEED (of
//! the first), SYNCKAIROS_TEST_REPORT (where the page goes), SYNCKAIROS_TEST_KINDS (which kinds, by name).

use std::fs;
use std::time::{Duration, Instant};

use test_support::dice::scale;
use test_support::directory::Directory;

use super::report::Report;
use super::run::{Plan, run};
use super::site::Kind;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_store_goes_through_faults_and_a_page_tells() {
    let length = Duration::from_secs(scale("SYNCKAIROS_TEST_LONG_S", 0));
    let operations = scale("SYNCKAIROS_TEST_OPERATIONS", 3_000);
    let first = scale("SYNCKAIROS_TEST_SEED", 1);
    let own = Directory::new();
    let path = std::env::var("SYNCKAIROS_TEST_REPORT").unwrap_or_else(|_| format!("{}.md", own.text()));
    let kinds = kinds();
    let date = std::env::var("SYNCKAIROS_TEST_DATE").unwrap_or_default();
    let (begin, mut report) = (Instant::now(), Report::default());
    let mut problems = 0;
    for (seed, kind) in (first..).zip(kinds.iter().cycle()) {
        let outcome = run(&Plan { kind: *kind, seed, operations, is_audited: true }).await;
        println!("{}", outcome.summary());
        outcome.problems.iter().for_each(|problem| println!("{problem}"));
        problems += outcome.problems.len();
        report.add(*kind, &outcome);
        report.title = format!("{date} Seeds {first} to {seed}, about {operations} requests each.");
        fs::write(&path, report.page()).expect("there is room");
        if begin.elapsed() >= length {
            break;
        }
    }
    let page = fs::read_to_string(&path).expect("it was written");
    assert!(page.contains(kinds[0].says()) && page.contains("## Faults"), "{page}");
    assert_eq!(problems, 0, "{page}");
    if std::env::var_os("SYNCKAIROS_TEST_REPORT").is_none() {
        fs::remove_file(path).expect("it was written");
    }
}

/// The kinds that the environment names; without it one that is there in a second.
fn kinds() -> Vec<Kind> {
    let Ok(named) = std::env::var("SYNCKAIROS_TEST_KINDS") else {
        return if scale("SYNCKAIROS_TEST_LONG_S", 0) > 0 { Kind::ALL.to_vec() } else { vec![Kind::File] };
    };
    let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name).expect("it is the name of a kind");
    named.split(',').map(kind).collect()
}
