//! The engine against its rules, six ways.
//!
//! - `tables`: what arrives when, and what must be shown after it. `script` plays them, `described`
//!   reads them, `told` writes them.
//! - `counting` states the rules once more, as a clock that counts milliseconds one by one; `counting_controls` has the
//!   clocks that tick under time controls.
//! - `sequences` walks through everything that can happen to small sessions and compares with it.
//! - `defects` breaks each rule that holds of a session, and goes to the bounds of what is none.
//! - `ticking` states the time controls once more, ms by ms, and `controls` compares with it and holds their laws.
//! - `properties` takes `generated` sessions of real size, `unattended` the largest ones.
//!
//! Every step of all of them goes through `judged`, which asserts what holds of every judgement.

mod controlled;
mod controls;
mod counting;
mod counting_controls;
mod defects;
mod described;
mod change_records;
mod generated;
mod judged;
mod properties;
mod rebased;
mod script;
mod sequences;
mod tables;
mod ticking;
mod told;
mod unattended;
