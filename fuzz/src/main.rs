//! Feeds libFuzzer's inputs to the target that `FUZZ_TARGET` names. Does not know what a target does with them.

#![no_main]

use std::sync::OnceLock;

use fuzz_targets::{Target, find};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&Target> = OnceLock::new();

fn named() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    find(&name).unwrap_or_else(|| panic!("there is no target {name}"))
}

fuzz_target!(|input: &[u8]| (TARGET.get_or_init(named).run)(input));
