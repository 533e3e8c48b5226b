//! What a session has under a time control: who goes by which control, and what each clock has of every segment. Does not know
//! sessions.

use std::sync::Arc;

use super::control::{Control, Segments};
use super::time::Millis;

/// What a session with a time control has beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionControls {
    /// What it was created with.
    pub rules: Arc<ControlRules>,
    /// What each clock has, in the order of the session's clocks. Where the one clock is the turn's it is empty between
    /// turns.
    pub segments: Vec<Segments>,
    /// What the turn in progress had used when it went on last.
    pub turn_used: Millis,
}

/// Who goes by which control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRules {
    /// The different controls, in the order in which participants first go by them.
    controls: Box<[Control]>,
    /// Of each participant an index into `controls`.
    by_participant: Box<[usize]>,
}

impl ControlRules {
    /// The different controls, and of each participant which one it goes by; `None` when one of them goes by none.
    pub fn new(controls: Vec<Control>, by_participant: Vec<usize>) -> Option<Self> {
        let is_known = by_participant.iter().all(|&control| control < controls.len());
        is_known.then(|| Self { controls: controls.into(), by_participant: by_participant.into() })
    }

    /// The different controls.
    pub fn controls(&self) -> &[Control] {
        &self.controls
    }

    /// How many participants go by them.
    pub(super) fn len(&self) -> usize {
        self.by_participant.len()
    }

    /// Which control a participant goes by: an index into [`ControlRules::controls`].
    pub fn position(&self, participant: usize) -> usize {
        self.by_participant[participant]
    }

    /// The control that a participant goes by.
    pub fn control(&self, participant: usize) -> &Control {
        &self.controls[self.by_participant[participant]]
    }

    /// Whether turns may follow each other without end although nobody completes one.
    pub fn renew(&self) -> bool {
        self.controls.iter().any(Control::renews)
    }
}

impl Segments {
    /// What a turn has that begins with these, or, without an end, its main time.
    pub fn shown(&self, control: &Control) -> Millis {
        self.budget(control).unwrap_or(self.main)
    }
}
