//! Sessions of every control, played at random and read back from their bytes after every change; and the vectors of
//! whole sessions.

use proptest::prelude::*;
use serde_json::{Value, json};
use synckairos::engine::{Command, Millis, OnTimeout, Patch, Precondition, Session, Timestamp, judge};
use synckairos::wire::{decode_archived, decode_sound, encode};

use test_support::sessions::participant;

use super::creating::{created, request};

const BEGIN: Timestamp = Timestamp::from_ms(1_000);

fn requests() -> Vec<Value> {
    let controls = [
        json!("10s"),
        json!({"system": "fischer", "base_ms": 5_000, "increment_ms": 3_000, "cap_ms": 7_000}),
        json!("0+10"),
        json!({"system": "delay", "base_ms": 3_000, "delay_ms": 5_000}),
        json!({"system": "bronstein", "base_ms": 3_000, "delay_ms": 5_000, "flag_at": "main"}),
        json!("3s/move"),
        json!({"system": "byoyomi", "base_ms": 10_000, "period_ms": 10_000, "periods": 3, "increment_ms": 10}),
        json!({"system": "canadian", "base_ms": 10_000, "period_ms": 60_000, "moves": 5}),
        json!({"system": "bank", "move_ms": 3_000, "bank_ms": 6_000, "increment_ms": 500}),
        json!({"system": "overtime", "base_ms": 2_000, "overtime_ms": 9_000, "penalty": {"per_ms": 1_000, "points": 10}}),
        json!({"system": "overtime", "base_ms": 2_000, "penalty": {"per_ms": 1_000, "points": 10}}),
        json!({"system": "hourglass", "base_ms": 6_000, "delay_ms": 100}),
        json!({"system": "stages", "stages": [{"moves": 3, "system": "absolute", "base_ms": 10_000},
            {"system": "fischer", "base_ms": 3_000, "increment_ms": 1_000},
            {"system": "byoyomi", "base_ms": 2_000, "period_ms": 1_000, "periods": 3}]}),
        json!("2/10"),
    ];
    let mut all: Vec<_> = controls.iter().map(|control| request("per_participant", control.clone(), 2)).collect();
    for control in &controls {
        let mut grouped = request("per_group", control.clone(), 3);
        for (place, group) in [(0, 1), (1, 1), (2, 2)] {
            grouped["participants"][place]["group_id"] = format!("22222222-2222-4222-8222-{group:012x}").into();
        }
        all.push(grouped);
    }
    let mut odds = request("per_participant", controls[6].clone(), 3);
    odds["participants"][1]["multiplier_pct"] = 200.into();
    odds["participants"][2]["time_control"] = controls[8].clone();
    all.push(odds);
    all.push(request("per_cycle", controls[5].clone(), 3));
    all.push(request("global", controls[9].clone(), 3));
    all
}

#[derive(Clone, Debug)]
enum Step {
    Switch,
    Pause,
    Resume,
    Settle,
    To(u64),
    Patch(OnTimeout),
}

fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    let step = prop_oneof![
        6 => Just(Step::Switch),
        2 => Just(Step::Pause),
        3 => Just(Step::Resume),
        1 => Just(Step::Settle),
        2 => (0..3_u64).prop_map(Step::To),
        1 => proptest::sample::select(&OnTimeout::ALL[..]).prop_map(Step::Patch),
    ];
    // Below zero is so long before the deadline.
    let wait = prop_oneof![3 => 0..4_000_i64, 2 => 0..30_000_i64, 2 => -3..0_i64];
    proptest::collection::vec((step, wait), 0..40)
}

fn read_back(session: &Session) {
    let encoded = encode(session, session.updated_at);
    let read = decode_sound(&encoded.state());
    assert_eq!(read.as_ref(), Ok(session), "{}", String::from_utf8_lossy(&encoded.state()));
    assert_eq!(decode_archived(&encoded.state()).as_ref(), Ok(session));
    let state: Value = serde_json::from_slice(&encoded.state()).expect("it is JSON");
    // For clients that know no time controls.
    let active = state["participants"].as_array().expect("a list").iter().find(|one| one["is_active"] == true);
    if let (Some(active), Some(deadline), Some(since)) = (active, session.deadline(), session.cycle_started_at()) {
        assert_eq!(active["time_remaining_ms"].as_u64(), Some(deadline.since(since).as_ms()), "{state}");
    }
    for one in state["participants"].as_array().expect("a list") {
        assert_eq!(one["time_remaining_ms"], one["total_time_ms"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is stored is all that there is.
    #[test]
    #[ignore = "takes seconds; tests/run runs it"]
    fn a_state_is_read_back_as_it_was(at in 0..31_usize, steps in steps()) {
        let all = requests();
        let mut session = created(&all[at % all.len()]);
        read_back(&session);
        session = judge(&session, &Command::Start, &Precondition::default(), BEGIN).session;
        let mut now = BEGIN;
        for (step, wait) in steps {
            let deadline = session.deadline().unwrap_or(now);
            let at = match u64::try_from(wait) {
                Ok(wait) => now + Millis::new(wait),
                Err(_) => Timestamp::from_ms(deadline.as_ms().saturating_sub(wait.unsigned_abs() - 1)),
            };
            now = at.max(now);
            let next = |n: u64| session.participants.get(n as usize).map(|one| one.id);
            let command = match step {
                Step::Switch => Command::Switch { next: None, current: None },
                Step::To(n) => Command::Switch { next: next(n), current: None },
                Step::Pause => Command::Pause,
                Step::Resume => Command::Resume,
                Step::Settle => Command::Settle,
                Step::Patch(choice) => Command::Patch(Patch { on_timeout: Some(choice), ..Patch::default() }),
            };
            session = judge(&session, &command, &Precondition::default(), now).session;
            read_back(&session);
        }
    }
}

/// What does not belong to a state's own control is no state.
#[test]
fn a_state_that_cannot_be_is_not_read() {
    let session = created(&request("per_participant", json!("10m+5x30s"), 2));
    let state: Value = serde_json::from_slice(&encode(&session, session.updated_at).state()).expect("it is JSON");
    let broken = |path: &str, value: Value| {
        let mut state = state.clone();
        *state.pointer_mut(path).expect("it is there") = value;
        decode_sound(state.to_string().as_bytes())
    };
    assert!(broken("/version", json!(2)).is_ok());
    for (path, value) in [
        ("/time_controls/0", json!("10m+5x30s")),
        ("/time_controls/0/period_ms", json!(0)),
        ("/time_controls/0/system", json!("blitz")),
        ("/participants/0/control", json!(1)),
        ("/participants/0/control", Value::Null),
        ("/participants/0/clock", Value::Null),
        ("/participants/0/clock/periods_left", json!(6)),
        ("/participants/0/clock/period_ms", json!(30_001)),
        ("/participants/0/clock/main_ms", json!(599_999)),
        ("/participants/0/clock/main_ms", json!(1_u64 << 53)),
        ("/participants/0/time_remaining_ms", json!(1)),
    ] {
        assert!(broken(path, value.clone()).is_err(), "{path} {value}");
    }
}

/// A game of byoyomi, as a client sees it.
#[test]
fn byoyomi_loses_periods_and_flags() {
    let mut session = created(&request("per_participant", json!("10s+3x10s"), 2));
    let mut told = Vec::new();
    let mut play = |command: Command, at: u64| {
        let at = BEGIN + Millis::new(at);
        session = judge(&session, &command, &Precondition::default(), at).session;
        let state: Value = serde_json::from_slice(&encode(&session, at).state()).expect("it is JSON");
        let one = &state["participants"][0];
        told.push((one["clock"].clone(), one["time_remaining_ms"].clone(), state["turn_used_ms"].clone()));
    };
    let switch = || Command::Switch { next: None, current: None };
    play(Command::Start, 0);
    play(switch(), 4_000);
    play(switch(), 4_000);
    play(Command::Pause, 34_000);
    play(Command::Resume, 90_000);
    play(switch(), 95_999);
    let clock = |main: u64, period: u64, periods: u64, moves: u64| json!({"main_ms": main, "period_ms": period, "periods_left": periods, "moves": moves});
    let expected = [
        (clock(10_000, 10_000, 3, 0), json!(40_000), json!(0)),
        (clock(6_000, 10_000, 3, 1), json!(36_000), json!(0)),
        (clock(6_000, 10_000, 3, 1), json!(36_000), json!(0)),
        (clock(0, 6_000, 1, 1), json!(6_000), json!(30_000)),
        (clock(0, 6_000, 1, 1), json!(6_000), json!(30_000)),
        (clock(0, 10_000, 1, 2), json!(10_000), json!(0)),
    ];
    assert_eq!(told, expected);
    assert_eq!(session.active().map(|one| one.id.to_string()), Some(participant(1)));
}
