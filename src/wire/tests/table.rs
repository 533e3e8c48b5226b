//! Requests as text. A table gives requests and under each what is read from it:
//!
//! ```text
//! > total_time_ms=6e4 & -sync_mode
//!   sync_mode invalid_type
//! ```
//!
//! A request is a list of edits to a base: `name=json` sets a member, `-name` takes it away, `+name=json`
//! adds one more of that name. Names inside participants are `participants.0.total_time_ms`. Under it stands
//! `field code` for each problem, else what is read now that is not read from the base. `@a` is
//! the UUID `00000000-0000-4000-8000-00000000000a`. On a mismatch the table is shown as it came out. Knows no rule.

use super::super::{FieldProblems, NotJson, Object};

const UUID: &str = "00000000-0000-4000-8000-00000000000";

/// Something that is read from a body: its parts, each as `name=value`.
pub(super) type Reader = fn(&Object<'_>, &mut FieldProblems) -> Option<Vec<String>>;

/// Edits `base` by each request, reads and compares.
#[track_caller]
pub(super) fn check(base: &str, reader: Reader, table: &str) {
    let before = parts(&body(base, ""), reader).expect("the base is valid");
    check_lines(table, |edits| match parts(&body(base, edits), reader) {
        Ok(parts) => {
            let new: Vec<_> = parts.into_iter().filter(|part| !before.contains(part)).collect();
            if new.is_empty() { "nothing new".to_owned() } else { new.join("\n") }
        }
        Err(problems) => problems,
    });
}

/// Answers each line of `table` that begins with `>` and compares.
#[track_caller]
pub(super) fn check_lines(table: &str, answer: impl Fn(&str) -> String) {
    let lines = || table.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected: Vec<_> = lines().map(indented).collect();
    let played = lines().filter_map(|line| line.strip_prefix('>').map(|request| (line, request.trim())));
    let actual: Vec<_> = played
        .flat_map(|(line, request)| {
            let answer = short(&answer(&long(request)));
            std::iter::once(line.to_owned()).chain(answer.lines().map(indented).collect::<Vec<_>>())
        })
        .collect();
    let (expected, actual) = (expected.join("\n"), actual.join("\n"));
    assert!(actual == expected, "\n--- expected\n{expected}\n--- actual\n{actual}");
}

/// What `reader` reads from a body, or its problems, one on each line.
pub(super) fn parts(body: &str, reader: Reader) -> Result<Vec<String>, String> {
    let mut found = FieldProblems::new();
    let object = Object::parse(body.as_bytes(), &mut found).map_err(|NotJson(why)| format!("not JSON: {why}"))?;
    let parts = reader(&object, &mut found);
    assert_eq!(parts.is_none(), !found.is_empty(), "there are problems or there is a result: {body}");
    parts.ok_or_else(|| problems(&found))
}

/// Problems, one on each line.
pub(super) fn problems(problems: &FieldProblems) -> String {
    let told = problems.iter().map(|problem| format!("{} {}", problem.field, problem.code.name()).trim().to_owned());
    told.collect::<Vec<_>>().join("\n")
}

/// The JSON object that `base` with `edits` stands for.
pub(super) fn body(base: &str, edits: &str) -> String {
    let (base, edits) = (long(base), long(edits));
    let mut members: Vec<(&str, &str)> = Vec::new();
    for edit in base.split(" & ").chain(edits.split(" & ")).map(str::trim).filter(|edit| !edit.is_empty()) {
        if let Some(name) = edit.strip_prefix('-') {
            members.retain(|(known, _)| *known != name);
            continue;
        }
        let (name, json) = edit.split_once('=').expect("an edit is `name=json`");
        if let Some(name) = name.strip_prefix('+') {
            members.push((name, json));
        } else if let Some(member) = members.iter_mut().find(|(known, _)| *known == name) {
            member.1 = json;
        } else {
            members.retain(|(known, _)| !known.starts_with(&format!("{name}.")));
            members.push((name, json));
        }
    }
    object(&members)
}

fn object(members: &[(&str, &str)]) -> String {
    let mut written: Vec<String> = Vec::new();
    let participants: Vec<_> =
        members.iter().filter_map(|(name, json)| Some((name.strip_prefix("participants.")?, *json))).collect();
    for (name, json) in members {
        if !name.starts_with("participants.") {
            written.push(format!(r#""{name}":{json}"#));
        } else if !written.iter().any(|member| member.starts_with(r#""participants":"#)) {
            let entries = (0..participants.len()).map_while(|place| {
                let own = participants.iter().filter_map(|(name, json)| {
                    let (at, name) = name.split_once('.')?;
                    (at == place.to_string()).then_some((name, *json))
                });
                let own: Vec<_> = own.collect();
                (!own.is_empty()).then(|| object(&own))
            });
            written.push(format!(r#""participants":[{}]"#, entries.collect::<Vec<_>>().join(",")));
        }
    }
    format!("{{{}}}", written.join(","))
}

/// With UUIDs in full.
pub(super) fn long(text: &str) -> String {
    text.replace('@', UUID)
}

fn short(text: &str) -> String {
    text.replace(UUID, "@")
}

fn indented(line: &str) -> String {
    if line.starts_with('>') { line.to_owned() } else { format!("  {line}") }
}
