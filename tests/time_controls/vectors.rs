//! The vectors against the engine.

use serde_json::{Map, Value, json};
use synckairos::engine::{Control, Millis, Segments};

use super::{read, written};

/// Clocks whose turns alternate.
struct Played {
    control: Control,
    clocks: Vec<Segments>,
    active: usize,
    used: Millis,
    since: u64,
}

impl Played {
    /// What is true of the running clock at `at`, and what is left of a turn that begins or goes on there.
    fn members(&self, clock: usize, elapsed: Millis) -> Map<String, Value> {
        let mut now = self.clocks[clock];
        let view = now.view(&self.control, elapsed);
        now.fold(&self.control, elapsed);
        let other = self.clocks[(clock + 1) % self.clocks.len()];
        let members = json!({
            "stage": now.stage, "moves_left": now.moves_left, "main_ms": now.main.as_ms(), "delay_ms": now.free.as_ms(),
            "period_ms": now.period.as_ms(), "periods_left": now.periods, "moves_in_period": now.period_moves,
            "balance_ms": now.balance_ms(), "penalty": now.penalty(&self.control), "moves": now.moves,
            "budget_ms": now.budget(&self.control).map(Millis::as_ms), "turn_used_ms": self.used.as_ms(),
            "phase": view.phase.name(), "counts_ms": view.counts_ms, "to_flag_ms": view.to_flag.map(Millis::as_ms),
            "other_main_ms": other.main.as_ms(),
        });
        members.as_object().expect("it is an object").clone()
    }

    fn step(&mut self, op: &str, at: u64) -> Map<String, Value> {
        let (active, elapsed) = (self.active, Millis::new(at - self.since));
        if op == "view" {
            return self.members(active, elapsed);
        }
        if let Some(budget) = self.clocks[active].budget(&self.control).filter(|budget| elapsed >= *budget) {
            self.clocks[active].fold(&self.control, elapsed);
            assert!(self.clocks[active].is_flagged(&self.control));
            return Map::from_iter([("flag_after_ms".to_owned(), json!(budget.as_ms()))]);
        }
        let charged = self.clocks[active].fold(&self.control, elapsed);
        let other = (active + 1) % self.clocks.len();
        if other != active && self.control.stage(self.clocks[active].stage).transfers {
            self.clocks[other].main += charged;
        }
        self.used += elapsed;
        self.since = at;
        match op {
            "pause" => {}
            "complete" => {
                self.clocks[active].complete(&self.control, self.used);
                (self.used, self.active) = (Millis::ZERO, other);
            }
            other => panic!("{other} is no step"),
        }
        self.members(active, Millis::ZERO)
    }
}

#[test]
fn every_number_is_the_engines() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/time.json"));
    let vectors: Vec<Value> = serde_json::from_str(&text.expect("it is there")).expect("it is JSON");
    assert!(vectors.len() >= 28, "{} vectors", vectors.len());
    for vector in vectors {
        let name = vector["name"].as_str().expect("a vector has a name");
        assert!(vector["source"].is_string(), "{name} has a source");
        let control = read(&vector["control"].to_string()).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let control = control.unwrap_or_else(|| panic!("{name} has a control"));
        written(&control);
        let clocks = usize::try_from(vector["clocks"].as_u64().unwrap_or(1)).expect("few");
        let clocks = vec![Segments::new(&control); clocks];
        let mut played = Played { control, clocks, active: 0, used: Millis::ZERO, since: 0 };
        let (steps, expected) = (vector["steps"].as_array(), vector["expect"].as_array());
        let (steps, expected) = (steps.expect("an array"), expected.expect("an array"));
        assert_eq!(steps.len(), expected.len(), "{name}");
        for (nth, (step, expected)) in steps.iter().zip(expected).enumerate() {
            let (op, at) = (step["op"].as_str().expect("a text"), step["at"].as_u64().expect("a number"));
            let members = played.step(op, at);
            for (member, value) in expected.as_object().expect("an object") {
                assert_eq!(members.get(member), Some(value), "{name}, step {nth}: {member}, of {members:?}");
            }
        }
    }
}
