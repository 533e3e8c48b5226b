//! What tasks run on: tokio with the clocks and the network of this machine, or, on a thread that is within one, a
//! [`Simulation`]. Everything that a store or the audit does by itself spawns, waits and connects through here, so that a
//! simulation decides what happens next. Does not know what the tasks do.

mod simulation;
mod task;
mod task_set;
pub mod time;

pub use simulation::{ByteStream, Simulation, simulation, within};
pub use task::{Stopped, TaskHandle, spawn};
pub use task_set::TaskSet;
