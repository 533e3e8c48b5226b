//! All JSON against the contract: what is read from requests, and what is told.
//!
//! - Tables (`table` reads them): requests with what is read from them, or what is wrong with them.
//! - Literal JSON for everything that is told.
//! - `arbitrary`: bytes that nobody meant, and states that somebody could have made.

mod responses;
mod arbitrary;
mod audit_rows;
mod bodies;
mod creating;
mod groups;
mod client_messages;
mod merging;
mod server_messages;
mod metadata;
mod patching;
mod published;
mod sample;
mod states;
mod stored;
mod switching;
mod table;
