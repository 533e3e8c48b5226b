//! Faults of the server's own, one after the other, in a server that is real: each harms the one thing that it is in,
//! is counted and said, and is over when it is over. Panics are asked for with a file: see CONTRIBUTING.md.

mod embedded;
mod filed;
