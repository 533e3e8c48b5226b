//! Time controls from outside: texts and objects as they are read, the vectors that all readers share, and sessions with them.

mod creating;
mod notations;
mod objects;
mod playing;
mod served;
mod vectors;

use synckairos::engine::Control;
use synckairos::wire::{FieldProblems, control_text, time_control};

/// Reads a control as the member `time_control` of a request.
fn read(value: &str) -> Result<Option<Control>, String> {
    let mut problems = FieldProblems::new();
    let control = time_control(value, "time_control", &mut problems);
    assert_eq!(control.is_none(), !problems.is_empty(), "there are problems or there is a control: {value}");
    let told = |problems: &FieldProblems| {
        let told = problems.iter().map(|one| format!("{} {}: {}", one.field, one.code.name(), one.message));
        told.collect::<Vec<_>>().join(" | ")
    };
    control.ok_or_else(|| told(&problems))
}

/// A control written as an object.
fn written(control: &Control) -> String {
    let text = String::from_utf8(control_text(control)).expect("JSON is text");
    assert_eq!(read(&text).as_ref(), Ok(&Some(control.clone())), "what is written is read again");
    text
}
