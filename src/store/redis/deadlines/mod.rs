//! Deadlines: those that this instance knows of, and those that the sweep finds overdue. Does not know how they are
//! fired.

mod sweep;
mod timers;

pub(super) use sweep::sweep;
pub(super) use timers::Timers;
