//! SyncKairos in a simulation: instances on machines of their own, clients, watchers, the database, and whoever disturbs
//! them; what came of a run is checked afterwards.
//!
//! ```text
//! run           a seed's plan, carried out             run.rs, plan.rs
//!   instance    the server on a machine                instance.rs, machine.rs, network.rs, database.rs
//!   clients     who asks, and who watches              client.rs, subscriber.rs, watcher.rs, operation.rs
//!   disturber   kills, halts, cuts                     disturber.rs
//! checks        what must hold of every run            checks/
//!   histories   whether an order explains what was told told.rs
//! ```

pub mod checks;
mod client;
pub mod database;
mod disturber;
pub mod instance;
mod machine;
mod network;
pub mod operation;
pub mod plan;
pub mod run;
pub mod shrink;
mod subscriber;
mod told;
pub mod watcher;
