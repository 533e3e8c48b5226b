//! Pages as a reader follows them: every link leads somewhere. What they tell people to type is typed by `services/docs`.

use std::path::Path;

use test_support::pages;

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
