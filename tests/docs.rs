//! Pages as a reader follows them: every link leads somewhere, ARCHITECTURE.md names files that are there and all parts that
//! there are, the runbook has every alert. `services/docs` runs the commands of the pages.

use std::fs;
use std::path::{Path, PathBuf};

use test_support::pages;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The part of a page from a heading to the next one.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let after = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}")).1;
    after.split("\n## ").next().expect("a text has a beginning")
}

/// What a page writes as code within its sentences.
fn code(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn pages_stay_short() {
    let sizes = [("README.md", 8_000), ("ARCHITECTURE.md", 10_000)];
    for (page, bytes_max) in sizes {
        let bytes = pages::text(page).len();
        assert!(bytes <= bytes_max, "{page} has {bytes} bytes");
    }
}

/// Files that a page names by a path from the top of the repository.
#[test]
fn named_files_exist() {
    let mut count = 0;
    for page in pages::all().into_iter().filter(|page| page != "CHANGELOG.md") {
        let text = pages::text(&page);
        for path in code(&text).filter(|code| !code.contains(|next: char| next.is_whitespace() || "*<{".contains(next)))
        {
            let path = path.split("::").next().expect("a text has a beginning");
            if ["src/", "tests/", "sql/", "docs/", "benches/", "packaging/", "loadtest/"]
                .iter()
                .any(|top| path.starts_with(top))
            {
                assert!(root().join(path).exists(), "{page} names {path}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "only {count} were found");
}

#[test]
fn the_code_map_names_every_part() {
    let page = pages::text("ARCHITECTURE.md");
    let named: Vec<_> = code(section(&page, "Code map")).collect();
    for entry in fs::read_dir(root().join("src")).expect("it can be read") {
        let entry = entry.expect("it can be read");
        let end = if entry.path().is_dir() { "/" } else { "" };
        let path = format!("src/{}{end}", entry.file_name().to_str().expect("names are text"));
        assert!(named.contains(&&*path), "the code map does not name {path}");
    }
}

/// Where a newcomer finds what a late switch, a conflict and a poison job come to: the file, and a name in it.
#[test]
fn the_code_map_leads_to_what_it_says() {
    let page = pages::text("ARCHITECTURE.md");
    let mut found = Vec::new();
    for claim in section(&page, "Code map").split("**").skip(1).collect::<Vec<_>>().chunks(2) {
        let [claim, after] = claim else { panic!("{claim:?} has no end") };
        let path = claim.split('`').nth(1).unwrap_or_else(|| panic!("{claim} names no file"));
        let name = after.split('`').nth(1).unwrap_or_else(|| panic!("{claim} names nothing in it"));
        assert!(source(path).contains(name), "{path} has no {name}");
        found.push(*claim);
    }
    for wanted in ["late switch", "conflict between two instances", "poison job"] {
        assert_eq!(found.iter().filter(|claim| claim.contains(wanted)).count(), 1, "{wanted}: {found:?}");
    }
}

#[test]
fn every_decision_is_short_and_listed() {
    let page = pages::text("ARCHITECTURE.md");
    let index = section(&page, "Decisions");
    for page in pages::all().into_iter().filter(|page| page.starts_with("docs/decisions/")) {
        let text = pages::text(&page);
        assert!(text.lines().count() <= 40, "{page} is too long");
        for heading in ["Context", "Decision", "Consequences"] {
            assert!(!section(&text, heading).trim().is_empty(), "{page} has no {heading}");
        }
        assert!(index.contains(&format!("({page})")), "{page} is not listed");
    }
}

#[test]
fn the_runbook_has_every_alert_component_and_error() {
    let runbook = pages::text("docs/run/runbook.md");
    let alerts = source("packaging/alerts.yml");
    let alerts: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "only {alerts:?} were found");
    for alert in alerts {
        assert!(section(&runbook, "Alerts").contains(&format!("| `{alert}` |")), "{alert}");
    }
    let mut components = 0;
    for file in test_support::sources::files(&root().join("src")) {
        let code = fs::read_to_string(&file).expect("it can be read");
        let code = code.split("#[cfg(test)]").next().expect("a text has a beginning");
        for name in code.split("readiness.add(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(section(&runbook, "What /ready says").contains(&format!("| `{name}` |")), "{name}");
            components += 1;
        }
    }
    assert!(components > 4, "only {components} were found");
    let problems = source("src/problem.rs");
    let mut errors = 0;
    for status in ["500", "503"] {
        for code in problems.split(&format!("Self::new({status}, \"")).skip(1).filter_map(|rest| rest.split('"').next())
        {
            assert!(section(&runbook, "What clients report").contains(&format!("| {status} `{code}` |")), "{code}");
            errors += 1;
        }
    }
    assert!(errors > 3, "only {errors} were found");
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for page in pages::all() {
        let text = pages::text(&page);
        for link in pages::links(&text) {
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let directory = root.join(&page).parent().expect("it is in one").to_owned();
            let path = if target.is_empty() { root.join(&page) } else { directory.join(target) };
            assert!(path.exists(), "{page} leads to {link}");
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {link}: {error}"));
                assert!(pages::anchors(&there).iter().any(|known| known == anchor), "{page} leads to {link}");
            }
            count += 1;
        }
    }
    assert!(count > 12, "only {count} were found");
}
