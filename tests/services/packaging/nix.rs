//! The files for Nix: they parse, name files that exist, and agree with their lock. `nix flake check` evaluates them, which
//! needs nixpkgs.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use synckairos::config::{SETTINGS, SettingKind};

use super::{path, text};

const FILES: [&str; 4] = ["flake.nix", "packaging/nixos-test.nix", "packaging/nixos.nix", "packaging/package.nix"];

/// What nix-instantiate prints.
fn nix(arguments: &[&str]) -> String {
    let mut command = Command::new("nix-instantiate");
    // It wants a home, and a store unless it is told that there is none.
    command.env("HOME", std::env::temp_dir()).args(["--store", "dummy://"]).args(arguments);
    let output = command.output().expect("nix-instantiate is installed: tests/run installs nix-bin");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

#[test]
fn they_are_nix_and_name_files_that_are_there() {
    let mut names = 0;
    for file in FILES {
        let parsed = nix(&["--parse", path(file).to_str().expect("the path is text")]);
        let root = path("");
        let words = parsed.split([' ', '(', ')', ';', '\n']).map(Path::new);
        for named in words.filter(|word| word.starts_with(&root)) {
            assert!(named.exists(), "{file} names {}", named.display());
            names += 1;
        }
    }
    assert!(names >= 9, "only {names} were found");
}

/// The functions of nixpkgs that the module uses, as far as it does.
const LIB: &str = r#"rec {
    mkOption = option: option; mkEnableOption = _: { }; literalMD = text: text;
    mkIf = condition: value: if condition then value else null;
    optionalAttrs = condition: attrs: if condition then attrs else { };
    mapAttrs = builtins.mapAttrs; any = builtins.any; concatStringsSep = builtins.concatStringsSep;
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    types = { package = 0; path = 0; str = 0; int = 0; nullOr = _: 0; attrsOf = _: 0; oneOf = _: 0; };
}"#;

/// What the module makes of settings of its own.
fn configured(given: &str) -> Value {
    let defaults =
        "enable = true; openFirewall = true; package = 0; environmentFile = null; keysFile = null; settings = { };";
    let module = format!(
        "let lib = {LIB}; config.services.synckairos = {{ {defaults} }} // {{ {given} }}; \
         in (import {} (pkgs: 0) {{ inherit config lib; pkgs = 0; }}).config",
        path("packaging/nixos.nix").display()
    );
    serde_json::from_str(&nix(&["--eval", "--strict", "--json", "-E", &module])).expect("JSON")
}

#[test]
fn a_module_that_others_can_reach_has_keys_or_says_that_it_has_none() {
    for (given, holds) in [
        ("", [true, true]),
        (r#"settings.HOST = "127.0.0.1";"#, [true, true]),
        (r#"settings.HOST = "::1";"#, [true, true]),
        (r#"settings.HOST = "localhost";"#, [true, true]),
        (r#"settings.HOST = "unix:/run/synckairos.sock";"#, [true, true]),
        (r#"settings.HOST = "0.0.0.0";"#, [false, true]),
        (r#"settings.HOST = "::";"#, [false, true]),
        (r#"settings = { HOST = "0.0.0.0"; AUTH = "on"; };"#, [false, true]),
        (r#"settings = { HOST = "0.0.0.0"; AUTH = "off"; };"#, [true, true]),
        (r#"settings = { HOST = "0.0.0.0"; KEYS_FILE = "/etc/keys.json"; };"#, [true, true]),
        (r#"settings.HOST = "0.0.0.0"; keysFile = "/run/secrets/keys.json";"#, [true, true]),
        (r#"settings.HOST = "0.0.0.0"; environmentFile = "/run/secrets/env";"#, [true, true]),
        (r#"settings = { HOST = "0.0.0.0"; API_KEY = "x"; };"#, [false, false]),
        (r#"settings.REDIS_PASSWORD = "x";"#, [true, false]),
    ] {
        let config = configured(given);
        let found: Vec<_> = config["assertions"].as_array().expect("a list").iter().collect();
        let found: Vec<_> = found.iter().map(|assertion| assertion["assertion"].as_bool().expect("a truth")).collect();
        assert_eq!(found, holds, "{given}");
    }
    let secrets = SETTINGS.iter().filter(|setting| setting.kind == SettingKind::Secret);
    let refused = configured(r#"settings.API_KEY = "x";"#)["assertions"][1]["message"].to_string();
    for secret in secrets {
        assert!(refused.contains(secret.name), "{}: {refused}", secret.name);
    }
}

#[test]
fn the_module_hands_keys_to_the_service() {
    let config = configured(r#"settings.PORT = 3001; keysFile = "/run/secrets/keys.json";"#);
    let service = &config["systemd"]["services"]["synckairos"];
    assert_eq!(service["environment"], serde_json::json!({"KEYS_FILE": "%d/keys.json", "PORT": "3001"}));
    assert_eq!(service["serviceConfig"]["LoadCredential"], "keys.json:/run/secrets/keys.json");
    assert_eq!(config["networking"]["firewall"]["allowedTCPPorts"], serde_json::json!([3001]));
    let none = &configured("")["systemd"]["services"]["synckairos"];
    assert_eq!(
        (&none["environment"], &none["serviceConfig"]["LoadCredential"]),
        (&serde_json::json!({}), &Value::Null)
    );
}

#[test]
fn the_lock_is_of_the_one_input() {
    let flake = format!("(import {}).inputs", path("flake.nix").display());
    let inputs: Value = serde_json::from_str(&nix(&["--eval", "--strict", "--json", "-E", &flake])).expect("JSON");
    let lock: Value = serde_json::from_str(&text("flake.lock")).expect("JSON");
    let original = &lock["nodes"]["nixpkgs"]["original"];
    let part = |name: &str| original[name].as_str().unwrap_or_else(|| panic!("no {name}: {lock}"));
    let url = format!("{}:{}/{}/{}", part("type"), part("owner"), part("repo"), part("ref"));
    assert_eq!(inputs, serde_json::json!({"nixpkgs": {"url": url}}));
    assert_eq!(lock["nodes"]["root"]["inputs"], serde_json::json!({"nixpkgs": "nixpkgs"}));
}
