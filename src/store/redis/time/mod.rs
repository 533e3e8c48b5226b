//! The time by which sessions go: Redis' own clock, and a correction that all instances agree on, so that a step of
//! that clock charges nobody. `raw_clock.rs` notices a step, `server_clock.rs` goes on without it, `agreement.rs` has
//! it corrected for all, `correction.rs` is what Redis stores. Does not know what the time is for.

pub(super) mod agreement;
mod server_clock;
mod correction;
mod raw_clock;
#[cfg(test)]
mod tests;

pub(super) use server_clock::{RawReading, Reading, ServerClock};
