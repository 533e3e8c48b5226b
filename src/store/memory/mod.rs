//! The embedded store: sessions in this process, in shards that are locked for the length of a decision. With a data
//! directory, changes are entered into its journal under the same lock and waited for after it. Time is the operating
//! system's. Does not know what a session is beyond its record, nor how a change becomes durable.

mod backend;
mod commit;
mod embedded;
mod restore;
mod shard;
mod upkeep;

pub use backend::Memory;
pub use embedded::Limit;
