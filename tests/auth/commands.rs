//! The commands of keys and tokens, and the examples of their help.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use synckairos::auth::{Authenticator, KeySources};
use synckairos::client::ClientAddress;
use synckairos::clock::Clock;
use test_support::directory::Directory;
use test_support::pages;
use test_support::program::{command, output, path};
use test_support::tokens::{Signer, claims};

use super::{key, now_s, signing_key};

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it is text")
}

fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout)
}

/// A directory with a file of keys.
fn keys() -> (Directory, String) {
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let path = directory.path().join("keys.json");
    let file = json!({"leeway_s": 0, "keys": [key("backend"), signing_key("k1", &Signer::hs256(5))]});
    std::fs::write(&path, file.to_string()).expect("it can be written");
    let path = path.to_str().expect("it is text").to_owned();
    (directory, path)
}

fn checked(keys: &str, token: &str) -> Output {
    let mut check = command();
    check.args(["token", "check", "--keys-file", keys]);
    let check = check.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = check.spawn().expect("the program runs");
    child.stdin.take().expect("it is piped").write_all(token.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_key_that_is_made_counts_by_its_line() {
    let said = succeeded(&output(command().args(["keys", "new", "--id", "one", "--allow", "read,list"])));
    let key = said.lines().next().expect("the key is the first line");
    let entry = said.lines().last().expect("the entry is the last line");
    assert!(!entry.contains(key));
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    let path = directory.path().join("keys.json");
    std::fs::write(&path, format!("{{\"keys\":[{entry}]}}")).expect("it can be written");
    let sources = KeySources { keys_file: Some(path), ..KeySources::default() };
    let authenticator = Authenticator::new(sources.load().expect("it is right"), Clock::system());
    let identity = authenticator.identify(key, ClientAddress::UNIX).expect("it counts");
    assert_eq!(identity.name().to_string(), "key:one");
    for wrong in [&["--id", "One"][..], &["--id", "a", "--allow", "fly"], &["--id", "a", "--sessions", "550e"], &[]] {
        let refused = output(command().args(["keys", "new"]).args(wrong));
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{wrong:?}: {refused:?}");
    }
}

#[test]
fn keys_are_listed_and_removed() {
    let (_directory, keys) = keys();
    let list = || succeeded(&output(command().args(["keys", "list", "--keys-file", &keys])));
    let listed = list();
    assert!(listed.starts_with("backend\tapi\t*,list,metrics,admin\t*\nk1\ths256\t"), "{listed}");
    assert!(!listed.contains(&Signer::hs256(5).secret()), "no secret is shown");
    succeeded(&output(command().args(["keys", "remove", "k1", "--keys-file", &keys])));
    assert_eq!(list().lines().count(), 1);
    let left: Value = serde_json::from_str(&std::fs::read_to_string(&keys).expect("it is there")).expect("it is JSON");
    assert_eq!(left, json!({"leeway_s": 0, "keys": [key("backend")]}), "all else stands as it stood");
    for arguments in [&["keys", "remove", "k1", "--keys-file", &keys][..], &["keys", "list"]] {
        assert_eq!(output(command().args(arguments)).status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn what_is_left_is_read_by_whoever_read_it_before_and_by_nobody_else() {
    let (directory, keys) = keys();
    let link = directory.path().join("link.json");
    std::os::unix::fs::symlink("keys.json", &link).expect("it can be made");
    std::fs::set_permissions(&keys, Permissions::from_mode(0o640)).expect("it is ours");
    // Only an administrator may give a file away; whoever runs this may be one.
    let is_given = std::os::unix::fs::chown(&keys, Some(65_534), Some(65_534)).is_ok();
    let link = link.to_str().expect("it is text");
    succeeded(&output(command().args(["keys", "remove", "k1", "--keys-file", link])));
    assert!(std::fs::symlink_metadata(link).expect("it is there").is_symlink(), "it leads where it led");
    let metadata = std::fs::symlink_metadata(&keys).expect("it is there");
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    if is_given {
        assert_eq!((metadata.uid(), metadata.gid()), (65_534, 65_534));
    }
    let listed = succeeded(&output(command().args(["keys", "list", "--keys-file", &keys])));
    assert!(listed.lines().count() == 1 && listed.starts_with("backend"), "{listed}");
    let names = || {
        let entries = std::fs::read_dir(directory.path()).expect("it is there");
        entries.map(|entry| entry.expect("it can be read").file_name()).collect::<BTreeSet<_>>()
    };
    let before = names();
    assert_eq!(before.len(), 2, "nothing else is left: {before:?}");

    // What cannot be written changes nothing, and leaves nothing.
    let whole = std::fs::read_to_string(&keys).expect("it is there");
    let limited = format!("ulimit -f 0; exec {} keys remove backend --keys-file {keys}", path().display());
    let mut shell = Command::new("sh");
    let refused = output(shell.env_clear().args(["-c", &format!("trap '' XFSZ; {limited}")]));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("keys.json: "), "{refused:?}");
    assert_eq!((std::fs::read_to_string(&keys).expect("it is there"), names()), (whole, before));
}

#[test]
fn a_key_has_a_name_of_its_own() {
    let (_directory, keys) = keys();
    let new = |id: &str, keys: &str| output(command().args(["keys", "new", "--id", id, "--keys-file", keys]));
    for id in ["backend", "k1"] {
        let refused = new(id, &keys);
        assert!(refused.status.code() == Some(1) && refused.stdout.is_empty(), "{refused:?}");
        assert!(text(&refused.stderr).contains(&format!("there is a key {id}")), "{refused:?}");
    }
    succeeded(&new("another", &keys));
    succeeded(&new("first", "/nowhere/keys.json"));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("it is there");
    let lost = command().args(["keys", "new", "--id", "a"]).stdout(full).stderr(Stdio::piped()).output();
    assert_eq!(lost.expect("the program runs").status.code(), Some(1), "a key that nobody saw is none");
}

#[test]
fn a_token_that_is_made_is_worth_what_was_said() {
    let (_directory, keys) = keys();
    let participant = "11111111-1111-4111-8111-111111111111";
    let mut new = command();
    new.args([
        "token",
        "new",
        "--keys-file",
        &keys,
        "--sub",
        "alice",
        "--sessions",
        "550e8400*,*",
        "--as",
        participant,
    ]);
    let token = succeeded(&output(&mut new));
    let said = succeeded(&checked(&keys, &token));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "sub:alice");
    assert!(lines[1].starts_with("until 20"), "{said}");
    assert_eq!(lines[2], format!("may read, watch, switch:own in 550e8400*, * as {participant}"));
    for wrong in [&["--ttl", "86401"][..], &["--key", "k2"], &["--as", "alice"], &["--ttl", "0"]] {
        let mut new = command();
        new.args(["token", "new", "--keys-file", &keys, "--sub", "alice", "--sessions", "*"]).args(wrong);
        let refused = output(&mut new);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{wrong:?}: {refused:?}");
    }
    let (signer, other) = (Signer::hs256(5), Signer::hs256(6));
    let claims = claims("alice", now_s() + 60, &json!([]));
    for (token, why) in [
        (other.token("k1", &claims), "its signature is wrong"),
        (signer.token("k2", &claims), "no key has this kid"),
        ("nonsense".to_owned(), "three parts"),
    ] {
        let refused = checked(&keys, &token);
        assert!(!refused.status.success() && text(&refused.stderr).contains(why), "{refused:?}");
        assert!(!text(&refused.stderr).contains(&token), "it is not repeated");
    }
}

/// Runs what a command's help shows as an example.
#[test]
fn examples_of_the_help_do_what_they_say() {
    let (directory, keys) = keys();
    let mut new = command();
    let token = succeeded(&output(new.args(["token", "new", "--keys-file", &keys, "--sub", "a", "--sessions", "*"])));
    std::fs::write(directory.path().join("token"), token).expect("it can be written");
    let bin = path();
    let bin = bin.parent().and_then(Path::to_str).expect("it has a place");
    let order = [["keys", "new"], ["keys", "list"], ["token", "new"], ["token", "check"], ["keys", "remove"]];
    for arguments in order {
        let help = succeeded(&output(command().args(arguments).arg("--help")));
        let (_, example) = help.split_once("Example:\n").unwrap_or_else(|| panic!("no example: {help}"));
        assert!(example.contains(&format!("synckairos {} {}", arguments[0], arguments[1])), "{example}");
        let mut shell = Command::new("sh");
        shell.env_clear().env("PATH", format!("{bin}:/usr/bin:/bin")).current_dir(directory.path());
        succeeded(&shell.args(["-euc", example]).output().expect("there is a shell"));
    }
}

/// The claims of the page, each in a token of its own.
#[test]
fn examples_of_the_page_are_grants() {
    let (_directory, keys) = keys();
    let page = pages::text("docs/use/authentication.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().expect("it ends"));
    let mut count = 0;
    for block in blocks {
        let granted: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"));
        let mut claims = claims("somebody", now_s() + 60, &json!([]));
        claims["synckairos"] = granted.clone();
        let said = succeeded(&checked(&keys, &Signer::hs256(5).token("k1", &claims)));
        let allowed: Vec<_> = granted["grants"][0]["allow"].as_array().expect("it is one").iter().collect();
        for name in allowed.iter().filter_map(|name| name.as_str()).filter(|name| *name != "*") {
            assert!(said.contains(name), "{name}: {said}");
        }
        count += usize::from(said.contains(ID) || said.contains("550e8400-e29b*") || said.contains("in *"));
    }
    assert_eq!(count, 7, "each says where");
}
