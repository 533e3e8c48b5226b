//! Time controls: a turn uses up four segments in this order, and completing it in time refills some of them.
//!
//! ```text
//! free  ->  main  ->  periods  ->  allowance
//! ```
//!
//! Every system is this one turn: absolute has main only, delay is free time before it, byoyomi periods after it, overtime an
//! allowance below zero. A control is a list of stages, a stage says what there is of each segment and what comes back.
//! Pure functions of a clock's segments; does not know sessions, nor when a turn begins or ends.
//!
//! Read in this order: [`System`] (what people call it), [`Stage`] (what it comes to), [`Segments`] (what a clock has),
//! `fold` (what time uses up), `complete` (what a completed turn gives back), `boundary` and `view` (what is shown of it).

mod boundary;
mod complete;
mod fold;
mod scale;
mod segments;
mod stage;
mod staged;
mod system;
mod view;

pub use boundary::{Boundary, BoundaryKind};
pub use segments::Segments;
pub use stage::{Penalty, Refill, Stage};
pub use staged::{Control, StageSystem};
pub use system::System;
pub use view::{ClockPhase, ClockView};
