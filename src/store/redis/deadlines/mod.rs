//! Deadlines: those that this instance knows of, and those that the sweep finds overdue. Does not know how they are fired.

pub(super) mod sweep;
mod timers;

pub(super) use timers::Timers;
