//! Requests to create a session with a time control: what it begins with, and every refusal with its field.

use serde_json::{Value, json};
use synckairos::engine::{NewSession, Session, Timestamp};
use synckairos::sessions::STATE_LEN_MAX;
use synckairos::wire::{FieldProblems, Object, create, encode};

use test_support::sessions::{id, participant};

/// A request with participants that say nothing but who they are.
pub(super) fn request(mode: &str, control: Value, participants: u64) -> Value {
    let players: Vec<_> =
        (0..participants).map(|n| json!({"participant_id": participant(n), "participant_index": n})).collect();
    json!({"session_id": id(1), "sync_mode": mode, "time_control": control, "participants": players})
}

pub(super) fn read(request: &Value) -> Result<NewSession, Vec<String>> {
    let (body, mut problems) = (request.to_string(), FieldProblems::new());
    let object = Object::parse(body.as_bytes(), &mut problems).expect("it is JSON");
    let new = create(&object, &mut problems);
    assert_eq!(new.is_none(), !problems.is_empty());
    new.ok_or_else(|| problems.iter().map(|one| format!("{} {}", one.field, one.code.name())).collect())
}

pub(super) fn created(request: &Value) -> Session {
    read(request).unwrap_or_else(|problems| panic!("{problems:?}: {request}")).create(1, Timestamp::from_ms(1_000))
}

#[track_caller]
fn refused(request: &Value, problems: &[&str]) {
    assert_eq!(read(request).map(|_| ()), Err(problems.iter().map(|&one| one.to_owned()).collect()), "{request}");
}

/// What everybody begins with.
fn initial(request: &Value) -> Vec<u64> {
    created(request).participants.iter().map(|one| one.initial_time.as_ms()).collect()
}

fn with(mut request: Value, path: &str, value: Value) -> Value {
    *request.pointer_mut(path).expect("it is there") = value;
    request
}

fn and(mut request: Value, place: &str, member: &str, value: Value) -> Value {
    request.pointer_mut(place).expect("it is there")[member] = value;
    request
}

#[test]
fn each_system_begins_with_its_budget() {
    for (control, budget) in [
        (json!({"system": "absolute", "base_ms": 10_000}), 10_000),
        (json!("5+3"), 300_000),
        (json!({"system": "fischer", "base_ms": 5_000, "increment_ms": 3_000, "increment_at": "start"}), 8_000),
        (json!("0+10"), 10_000),
        (json!({"system": "delay", "base_ms": 3_000, "delay_ms": 5_000}), 8_000),
        (json!({"system": "bronstein", "base_ms": 3_000, "delay_ms": 5_000}), 8_000),
        (json!({"system": "bronstein", "base_ms": 3_000, "delay_ms": 5_000, "flag_at": "main"}), 3_000),
        (json!({"system": "per_move", "move_ms": 30_000}), 30_000),
        (json!({"system": "byoyomi", "base_ms": 10_000, "period_ms": 10_000, "periods": 3}), 40_000),
        (json!({"system": "canadian", "base_ms": 10_000, "period_ms": 60_000, "moves": 5}), 70_000),
        (json!({"system": "bank", "move_ms": 30_000, "bank_ms": 60_000}), 90_000),
        (json!({"system": "overtime", "base_ms": 10_000, "overtime_ms": 600_000}), 610_000),
        (json!({"system": "overtime", "base_ms": 10_000}), 10_000),
        (json!({"system": "hourglass", "base_ms": 60_000}), 60_000),
        (json!({"system": "correspondence", "move_ms": 86_400_000}), 86_400_000),
        (json!({"system": "correspondence", "move_ms": 86_400_000, "cap_ms": 604_800_000_u64}), 604_800_000),
        (json!("365d/move"), 31_536_000_000),
        (json!("40/7200:3600"), 7_200_000),
        (
            json!({"system": "stages", "stages": [
                {"system": "fischer", "base_ms": 5_000, "increment_ms": 1_000},
                {"system": "byoyomi", "base_ms": 3_000, "period_ms": 2_000, "periods": 2},
            ]}),
            12_000,
        ),
    ] {
        let request = request("per_participant", control, 2);
        assert_eq!(initial(&request), [budget; 2], "{request}");
        assert_eq!(created(&request).total_time.as_ms(), 2 * budget, "what all clocks have");
    }
}

#[test]
fn everybody_may_have_more_or_less() {
    let fifty_minutes = request("per_participant", json!({"system": "absolute", "base_ms": 3_000_000}), 4);
    let request = and(fifty_minutes, "/participants/0", "multiplier_pct", json!(150));
    let request = and(request, "/participants/0", "extra_ms", json!(60_000));
    let request = and(request, "/participants/1", "total_time_ms", json!(1_333));
    let request = and(request, "/participants/1", "multiplier_pct", json!(150));
    let request = and(request, "/participants/2", "time_control", json!("30s/move"));
    assert_eq!(initial(&request), [4_560_000, 1_999, 30_000, 3_000_000]);
    let session = created(&request);
    let controls = &session.controls.as_ref().expect("it has some").rules;
    let positions: Vec<_> = (0..4).map(|place| controls.position(place)).collect();
    assert_eq!(positions, [0, 0, 1, 2], "the same ones stand once");
}

#[test]
fn groups_share_a_clock() {
    let group = |n: u64| format!("22222222-2222-4222-8222-{n:012x}");
    let mut grouped = request("per_group", json!("5+3"), 4);
    for (n, of) in [(0, 1), (1, 1), (2, 2)] {
        grouped["participants"][n]["group_id"] = group(of).into();
    }
    assert_eq!(initial(&grouped), [300_000; 4], "a control is a clock's, and not multiplied by who shares it");
    let mut timed = grouped.clone();
    (timed["participants"][0]["total_time_ms"], timed["participants"][1]["total_time_ms"]) =
        (2_000.into(), 3_000.into());
    assert_eq!(initial(&timed), [5_000, 5_000, 300_000, 300_000], "what members bring along");
    let mut own = grouped.clone();
    own["groups"] =
        json!([{"group_id": group(2), "time_control": "30s/move"}, {"group_id": group(1), "total_time_ms": 7_000}]);
    assert_eq!(initial(&own), [7_000, 7_000, 30_000, 300_000]);
    refused(
        &and(grouped.clone(), "/participants/1", "time_control", json!("1+1")),
        &["participants.1.time_control conflict"],
    );
    refused(
        &and(grouped.clone(), "/participants/1", "multiplier_pct", json!(50)),
        &["participants.1.multiplier_pct conflict"],
    );
    refused(
        &and(grouped, "/participants/1", "total_time_ms", json!(5_000)),
        &["participants.1.total_time_ms conflict"],
    );
}

#[test]
fn the_same_thing_is_not_said_twice() {
    let plain = request("per_participant", json!("5+3"), 2);
    let mut all = plain.clone();
    (all["increment_ms"], all["time_per_cycle_ms"], all["max_time_ms"]) = (0.into(), 1_000.into(), 1_000.into());
    refused(&all, &["increment_ms conflict", "time_per_cycle_ms conflict", "max_time_ms conflict"]);
    for (member, value) in [("time_control", json!("5+3")), ("multiplier_pct", json!(50)), ("extra_ms", json!(1))] {
        let mut alone = with(plain.clone(), "/time_control", json!("-"));
        alone["total_time_ms"] = 5_000.into();
        (alone["participants"][0]["total_time_ms"], alone["participants"][1]["total_time_ms"]) =
            (5_000.into(), 5_000.into());
        assert!(read(&alone).is_ok_and(|new| new.controls.is_none()), "a dash is none");
        let problem = match member {
            "time_control" => "participants.0.time_control invalid_type".to_owned(),
            _ => format!("participants.0.{member} conflict"),
        };
        let place = if member == "time_control" { "/participants/1" } else { "/participants/0" };
        refused(&and(alone, place, member, value), &[&problem]);
    }
}

#[test]
fn each_mode_has_its_systems() {
    let control = |system: Value| request("per_participant", system, 2);
    let hourglass = json!({"system": "hourglass", "base_ms": 60_000});
    let in_mode = |mode: &str, system: Value| with(control(system), "/sync_mode", json!(mode));
    refused(&in_mode("count_up", json!("5+3")), &["time_control conflict"]);
    refused(&in_mode("per_cycle", json!("5+3")), &["time_control conflict"]);
    let fischer = json!({"system": "fischer", "base_ms": 5_000, "increment_ms": 1});
    refused(&in_mode("per_cycle", fischer.clone()), &["time_control.system conflict"]);
    refused(&in_mode("global", fischer.clone()), &["time_control.system conflict"]);
    let stages = json!({"system": "stages", "stages": [
        {"moves": 2, "system": "absolute", "base_ms": 5_000}, {"system": "delay", "base_ms": 5_000, "delay_ms": 1}]});
    refused(
        &in_mode("global", stages),
        &["time_control.stages.0.moves conflict", "time_control.stages.1.system conflict"],
    );
    refused(
        &and(in_mode("global", json!("5m")), "/participants/0", "extra_ms", json!(1)),
        &["participants.0.extra_ms conflict"],
    );
    refused(&request("per_participant", hourglass.clone(), 3), &["time_control.system conflict"]);
    refused(&request("per_participant", hourglass.clone(), 1), &["time_control.system conflict"]);
    refused(
        &and(control(hourglass.clone()), "/participants/0", "time_control", fischer),
        &["participants.0.time_control.system conflict"],
    );
    for member in ["increment_ms", "moves", "stages"] {
        let problem = format!("time_control.{member} conflict");
        refused(&control(and(json!({"of": hourglass}), "/of", member, json!(1))["of"].clone()), &[&problem]);
    }
    let advance = |request: Value| and(request, "", "on_timeout", json!("advance"));
    refused(&advance(control(hourglass)), &["on_timeout conflict"]);
    refused(&advance(in_mode("global", json!("5m"))), &["on_timeout conflict"]);
    refused(&advance(control(json!({"system": "overtime", "base_ms": 5_000}))), &["time_control.overtime_ms conflict"]);
    refused(&advance(control(json!("30s/move"))), &["total_time_ms invalid_type"]);
    assert!(read(&and(advance(control(json!("30s/move"))), "", "total_time_ms", json!(31_536_000_000_u64))).is_ok());
}

#[test]
fn whoever_begins_has_time() {
    let absolute = |base: u64| json!({"system": "absolute", "base_ms": base});
    let plain = request("per_participant", absolute(5_000), 2);
    let at = |member: &str, value: u64| and(plain.clone(), "/participants/1", member, json!(value));
    refused(&at("multiplier_pct", 9), &["participants.1.multiplier_pct too_small"]);
    refused(&at("multiplier_pct", 1_001), &["participants.1.multiplier_pct too_big"]);
    refused(&at("multiplier_pct", 19), &["participants.1.multiplier_pct too_small"]);
    refused(&at("total_time_ms", 999), &["participants.1.total_time_ms too_small"]);
    refused(&at("total_time_ms", 31_536_000_001), &["participants.1.total_time_ms too_big"]);
    refused(&at("extra_ms", 31_536_000_000), &["participants.1.extra_ms too_big"]);
    let long = request("per_participant", absolute(31_536_000_000), 1);
    refused(&and(long, "/participants/0", "multiplier_pct", json!(101)), &["participants.0.multiplier_pct too_big"]);
    let per_move = request("per_participant", json!("30s/move"), 1);
    refused(
        &and(per_move.clone(), "/participants/0", "total_time_ms", json!(60_000)),
        &["participants.0.total_time_ms conflict"],
    );
    refused(&and(per_move, "/participants/0", "extra_ms", json!(1)), &["participants.0.extra_ms conflict"]);
    // What a multiplier makes of a base may lie above the cap, which it leaves alone.
    let capped = json!({"system": "fischer", "base_ms": 5_000, "increment_ms": 1_000, "cap_ms": 5_000});
    let more = and(request("per_participant", capped, 1), "/participants/0", "multiplier_pct", json!(200));
    assert_eq!(initial(&more), [10_000]);
}

#[test]
fn there_are_only_so_many() {
    let mut request = request("per_participant", json!("5+3"), 17);
    for n in 0..16 {
        request["participants"][n]["multiplier_pct"] = (101 + n).into();
    }
    refused(&request, &["participants too_big"]);
    request["participants"][16]["multiplier_pct"] = 101.into();
    assert!(read(&request).is_ok());
}

/// The largest state that the rules allow is made, and stays below what a store takes.
#[test]
fn a_state_has_a_size() {
    let first = json!({"moves": 1_000, "system": "bank", "move_ms": 31_536_000_000_u64, "bank_ms": 31_536_000_000_u64,
        "increment_ms": 604_800_000, "cap_ms": 31_536_000_000_u64});
    let mut stages = vec![first; 7];
    stages.push(
        json!({"system": "canadian", "base_ms": 31_536_000_000_u64, "period_ms": 31_536_000_000_u64, "moves": 1_000}),
    );
    let mut largest = request("per_group", json!({"system": "stages", "stages": stages}), 1_000);
    largest["metadata"] = json!({"name": "x".repeat(4_000)});
    for n in 0..1_000 {
        largest["participants"][n]["group_id"] = format!("22222222-2222-4222-8222-{n:012x}").into();
        largest["participants"][n]["participant_index"] = 9_007_199_254_740_991_u64.into();
    }
    let session = created(&largest);
    let len = encode(&session, session.updated_at).len();
    assert!((550_000..=STATE_LEN_MAX).contains(&len), "{len}");
}
